"""Bad inputs of the whole job, each in a process of its own: one line says what is wrong, and nothing else is written.

What is said to each is printed, too:

    python -m pytest -n 0 -rP tests/run/test_bad_inputs.py
"""

import contextlib
import io
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
import torch
from helpers.bad_weights import Command
from programs.bad_cases import config, data, images, resume, save_dir, training, weights
from programs.bad_cases.case import TWO
from programs.kill_and_resume import FORKS, PROJECT, kill, run

from paul_plugin.commands import train
from paul_plugin.data.synthetic.render import render

SECONDS = 60  # that a run may take before it counts as hung: on a busy machine float16 takes 10
CASES = {
    f'{room.__name__.rpartition(".")[2]}: {case.about}': case
    for room in (config, data, images, weights, resume, save_dir, training)
    for case in room.CASES
}
# HERE is the folder of the case; SHARED holds the data set and the log of a run of two epochs.
BASE = f"""
    --config-file {PROJECT}/configs/paul_synthetic.yaml --root SHARED/reid-data -s market1501 -t market1501
    data.save_dir HERE/log data.workers 0 data.height 48 data.width 48 use_gpu False
    paul.pretrain.config '' paul.k 3 paul.r 2 paul.feature_dim 8
    train.batch_size 6 train.max_epoch 1 train.stepsize [1] train.checkpoint_minutes 0 train.keep_checkpoints 9
"""
# tqdm's bars of progress, and the two lines of a warning of Python's, which torchreid gives for an old layout.
NOT_OURS = re.compile(
    r'^(Rendering|Looking at the crops|Filling the patch memory bank)\b.*$|^\S+\.py:\d+: \w+: .*\n  .*$', re.MULTILINE
)


def command_line(words: str, top: Path) -> list[str]:
    places = {'HERE': str(top / 'case'), 'SHARED': str(top / 'shared')}
    return [re.sub('HERE|SHARED', lambda match: places[match[0]], word) for word in shlex.split(f'{BASE} {words}')]


@pytest.fixture(scope='session')
def shared(made_once):
    """The data set, a hostile weight file, and the log of a run of two epochs; made once, to be read only."""

    def make(top: Path) -> None:
        render(top / 'shared/reid-data/market1501', 'target', seed=5, train_ids=3, test_ids=2, images_per_id=4)
        torch.save({'state_dict': Command(top / 'executed')}, top / 'shared/hostile.pth')
        with contextlib.redirect_stdout(io.StringIO()):
            train.main(command_line(f'data.save_dir SHARED/log {TWO}', top))

    return made_once('inputs', make) / 'shared'


def tree(folder: Path) -> dict[str, tuple]:
    """What is in a folder: path -> kind and mode, and what tells a file that was written again."""
    found = {}
    for path in folder.rglob('*'):
        of = path.lstat()
        found[str(path.relative_to(folder))] = (
            (of.st_mode,) if stat.S_ISDIR(of.st_mode) else (of.st_mode, of.st_ino, of.st_size, of.st_mtime_ns)
        )
    return found


def work(name: str, top: Path) -> None:
    CASES[name].limit(top / 'case')
    run(command_line(CASES[name].words, top), top / 'out.txt', top / 'err.txt')


@pytest.mark.parametrize('name', CASES)
def test_it_says_one_line_and_writes_nothing(name, shared, tmp_path, monkeypatch):
    """Or goes to its end, where the input is odd but good."""
    case, here = CASES[name], tmp_path / 'case'
    here.mkdir()
    (tmp_path / 'shared').symlink_to(shared)
    streams = [tmp_path / 'out.txt', tmp_path / 'err.txt']
    for path in streams:
        path.touch()
    monkeypatch.chdir(tmp_path)  # what a run writes under a relative path is a change, too
    try:
        case.prepare(here)
        before = tree(tmp_path), tree(shared)
        process = FORKS.Process(target=work, args=(name, tmp_path))
        process.start()
        process.join(SECONDS)
        ended = process.exitcode is not None
        kill(process)  # the workers of a process that ended, too
        assert ended, f'killed after {SECONDS} s'
        after = tree(tmp_path), tree(shared)
    finally:
        if os.path.ismount(here / 'log'):
            subprocess.run(['umount', here / 'log'], check=True)
    out, err = (path.read_text(errors='replace').replace(str(here), 'HERE') for path in streams)
    lines = [line for line in NOT_OURS.sub('', err).splitlines() if line.strip()]
    print(name, *lines, sep='\n')
    assert process.exitcode == case.status, err
    assert re.search(case.expected, err if case.status else out + err, re.MULTILINE), err
    assert 'Traceback' not in out + err
    assert [line for line in lines if not line.startswith('error: ')] == []
    assert len(lines) <= 12  # ten bad images are shown
    assert after[1] == before[1]
    written = {path for path in before[0].keys() | after[0].keys() if before[0].get(path) != after[0].get(path)}
    assert [path for path in written if not re.fullmatch(f'(out|err).txt|case/log(/({case.writes}))?', path)] == []
