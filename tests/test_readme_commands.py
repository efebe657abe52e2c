"""The commands of the README and its pages: tools are run on a small model, trainings are read and checked."""

import contextlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.models import small_patchnet
from test_readme import README, TEXT

from paul_plugin.commands import ablate
from paul_plugin.commands import command as tools
from paul_plugin.commands import main as commands
from paul_plugin.commands import train as job

LINES = [line for block in re.findall(r'^```bash\n(.*?)^```$', TEXT, re.M | re.S) for line in block.splitlines()]
COMMANDS = [command for line in LINES if line[0] != '#' for command in line.split(' && ')]


def words_of(command: str) -> list[str]:
    """Verb and words of a command of ours; of any other, none."""
    words = shlex.split(command, comments=True)
    while re.match('python$|torchrun$|--nproc|--max-restarts|-m$', words[0]):
        del words[0]
    if words[0] in ('paul', 'paul_plugin'):
        return words[1:]
    return ['train', *words[1:]] if words[0] == 'tools/main.py' else []


OURS = [command for command in COMMANDS if words_of(command)]
TRAININGS = [command for command in OURS if words_of(command)[0] == 'train']
# the same words with another run are the same test
OTHERS = {
    tuple(re.sub(r'log/paul_\w+', 'log/paul_market', word) for word in words_of(command)): None
    for command in OURS
    if words_of(command)[0] not in ('train', 'ablate')
}


def test_which_are_not_ours():
    """They install, start the tests, or are of other packages; the README says which of those were not run."""
    assert [command.split()[0] for command in COMMANDS if command not in OURS] == [
        'python3', '.', 'pip', 'pip', 'pip', 'python',
        'python3', 'tracker/bin/pip', 'tracker/bin/yolo', 'tracker/bin/yolo', 'tracker/bin/boxmot',
    ]  # fmt: skip
    assert len(TRAININGS) > 10
    assert len(OTHERS) > 10
    text = README.read_text()
    assert 'The tests run no line of `tracker/bin`' in text
    assert re.search(r'whl/cpu`\s+first \(not run here\)', text)


def test_one_spelling():
    """The commands are spelt `paul ...`; the script that is the same is named once."""
    assert [command for command in OURS if 'tools/' in command] == [
        'python tools/main.py --config-file configs/paul_market.yaml'
    ]
    assert "torchreid.models.build_model('paul')" in README.read_text()


@pytest.fixture(scope='module')
def place(embedded_run, rendered, tmp_path_factory):
    """What a reader has who followed the README so far: runs, crops, an image."""
    folder = tmp_path_factory.mktemp('reader')
    shutil.copytree(embedded_run, folder / 'log/paul_market')
    paths = sorted(rendered.glob('synthetic_target/*/query/*.jpg'))
    (folder / 'crops').mkdir()
    for path in paths:
        shutil.copy(path, folder / 'crops')
    shutil.copy(paths[0], folder / 'me.jpg')
    return folder


def files_in(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('words', OTHERS, ids=' '.join)
def test_a_tool(place, monkeypatch, words):
    monkeypatch.setattr('paul_plugin.deploy.export.SECONDS', 0)  # of measuring its speed
    if words[0] == 'export' and words[2] == 'model.onnx':  # the tracker's is the run's own
        given = tools.trained_of
        monkeypatch.setattr(tools, 'trained_of', lambda asked: given(asked)._replace(model=small_patchnet()))
    monkeypatch.chdir(place)
    before = files_in(place)
    commands.main('paul', words)
    written = files_in(place).keys() - before.keys()
    assert written
    for path in written:  # what another command may write as well
        path.unlink()


@pytest.mark.parametrize('command', dict.fromkeys(TRAININGS))
def test_the_words_of_a_training(command, monkeypatch, tmp_path):
    """A config of that name, its keys, their values, and that they go together; the jobs are tested elsewhere."""
    (tmp_path / 'my_crops').mkdir()
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(Path(name).resolve())
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(None):
        cfg = job.config_of(job.parse([*words_of(command)[1:], 'use_gpu', 'False']))
    assert cfg.data.targets


@pytest.mark.parametrize('command', [command for command in OURS if words_of(command)[0] == 'ablate'])
def test_the_words_of_an_ablation(command):
    asked = ablate.parse(words_of(command)[1:])
    assert asked.dry_run
    job.config_of(job.parse(asked.words))
