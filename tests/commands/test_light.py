"""The programs read their command lines without torch, and do their work with the whole package, however they start."""

import runpy
import subprocess
import sys

import pytest
import torch
import torchreid
from helpers.jobs import PROJECT

from paul_plugin.commands.main import VERBS
from paul_plugin.commands.visualize import SUBCOMMANDS

TOOLS = sorted(path for path in (PROJECT / 'tools').glob('*.py') if path.stem != 'paul_command')
# Calls the command with each list of words, in one process, and prints what torch's modules are there after each.
CALLS = """
import sys
from paul_command import main
for words in {calls!r}:
    sys.argv = ['paul', *words]
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code
    print(words, status, sorted({{'torch', 'torchreid', 'torchvision'}} & set(sys.modules)), file=sys.stderr)
"""


def python(*words, cwd=None):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=120)


def called(tmp_path, *calls):
    """The front is in tools/, as it is for the tools themselves."""
    (tmp_path / 'program.py').write_text(
        f'import sys; sys.path.insert(0, {str(PROJECT / "tools")!r})' + CALLS.format(calls=[*map(list, calls)])
    )
    return python(tmp_path / 'program.py', cwd=tmp_path)


def test_help_is_told_without_torch(tmp_path, monkeypatch):
    """And in lines that fit a window."""
    monkeypatch.setenv('COLUMNS', '80')
    calls = [[], ['--help'], ['--version'], *([verb, '--help'] for verb in VERBS), ['train', '--keys', 'train.lr']]
    calls += [['visualize', figure, '--help'] for figure in SUBCOMMANDS]
    done = called(tmp_path, *calls)
    assert done.stderr.splitlines() == [f'{words} 0 []' for words in calls]
    for verb in VERBS:
        assert f'usage: paul {verb} ' in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


WRONG = {
    'trian': "error: unknown verb trian (did you mean 'train'?): expected one of train, ",
    '--rot': 'error: unknown verb --rot: expected one of train, ',
    'train train.lrr 1': "error: unknown key 'train.lrr' (did you mean 'train.lr'?)",
    'train paul_markt': "(did you mean 'paul_market'?): the configs that come with the package are paul_duke,",
    'ablate k train.lrr 1': "error: unknown key 'train.lrr' (did you mean 'train.lr'?)",
    'ablate k --jobs 0': 'error: argument --jobs: must be at least 1, got 0; paul ablate --help tells what it takes',
    'benchmark --only ranking --picture x.png': 'error: --picture is for --only "growing jobs": add that, or leave it',
    'benchmark --until epoch': 'error: --until is for --job: add --job and the arguments of a paul train, or',
    'benchmark --repeats x': 'error: argument --repeats: must be a whole number, got x; paul benchmark --help tells',
    'visualize nope': "error: argument FIGURE: invalid choice: 'nope'",
}


def test_wrong_words_are_refused_in_a_line_without_torch(tmp_path):
    calls = [line.split() for line in WRONG]
    lines = called(tmp_path, *calls).stderr.splitlines()
    assert lines[1::2] == [f'{words} 2 []' for words in calls]
    assert all(error in line for error, line in zip(WRONG.values(), lines[::2], strict=True)), lines


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_a_tool_tells_how_it_was_called(tool, tmp_path):
    done = python(tool, '--help', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'usage: python {tool} ' in ' '.join(done.stdout.split())  # a long usage is wrapped


def test_the_package_as_a_program(monkeypatch, capsys):
    """As `python -m paul_plugin` runs it."""
    monkeypatch.setattr(sys, 'argv', ['-m', 'export', '--help'])
    with pytest.raises(SystemExit) as end:
        runpy.run_module('paul_plugin', run_name='__main__')
    assert end.value.code == 0
    assert 'usage: python -m paul_plugin export ' in capsys.readouterr().out


WHOLE = f"""
import multiprocessing, sys
sys.path.insert(0, {str(PROJECT / 'tools')!r})
import paul_command

def whole():
    from types import SimpleNamespace
    paul_command._stand_in()
    package = sys.modules['paul_plugin']
    assert 'torch' not in sys.modules and not hasattr(package, 'PatchNet')
    from paul_plugin.commands import command
    show = SimpleNamespace(parse=list, run=lambda argv: print(package.__version__, package.PatchNet.__name__))
    command.main(show, [])
    import paul_plugin, torchreid
    assert paul_plugin is package
    torchreid.models.build_model('paul_osnet_x0_25', 4, loss='paul', pretrained=False)
    command.main(show, [])  # once is enough
    assert sys.modules['paul_plugin'] is package

if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    whole()
    paul_command.tool('extract')
"""


def test_the_work_is_done_with_the_whole_package(rendered, tmp_path):
    """Registered in torchreid, and in the module object that was there before.

    A worker that starts anew imports the program, whose front does nothing there, and gets a data set of the package's.
    """
    program = tmp_path / 'program.py'
    program.write_text(WHOLE)
    model = torchreid.models.build_model('paul_osnet_x0_25', num_classes=1, loss='paul', pretrained=False)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'small.pth')
    crops = rendered / 'synthetic_target/Market-1501-v15.09.15/query'
    size = ('--height', '48', '--width', '48', '--workers', '1')
    done = python(program, tmp_path / 'small.pth', crops, tmp_path / 'crops.npz', *size, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('PatchNet\n') == 2
    assert f'{tmp_path}/crops.npz: {len(list(crops.iterdir()))} descriptors' in done.stdout
