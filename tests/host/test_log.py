"""The log: its own file for each run, and a console or disk that takes no more stops the run at a safe place."""

import contextlib
import errno
import os
import sys

import pytest
from helpers.forks import Fork

from paul_plugin.host.log import logged_to
from paul_plugin.runtime import stopping
from paul_plugin.runtime.errors import UserError

# /dev/full stands for a full disk: every write to it fails.
FULL = pytest.mark.skipif(not os.path.exists('/dev/full'), reason='the system has no /dev/full')


@pytest.fixture(autouse=True)
def forget():
    yield
    stopping._asked.clear()


def test_two_runs_of_one_second_have_two_logs(tmp_path, capsys):
    path = tmp_path / 'run' / 'train.log-2026-01-02-03-04-05'
    for words in ('first', 'second \u00e9', 'third'):
        with logged_to(path):
            print(words)
    assert path.read_text() == 'first\n'
    assert path.with_name(f'{path.name}-2').read_text(encoding='utf-8') == 'second \u00e9\n'
    assert path.with_name(f'{path.name}-3').read_text() == 'third\n'


def test_the_console_is_given_back_open(tmp_path, capsys):
    console = sys.stdout
    with logged_to(tmp_path / 'log'):
        print('both')
    assert sys.stdout is console
    print('after')
    assert capsys.readouterr().out == 'both\nafter\n'


def test_a_folder_that_takes_no_log_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot write the log into the folder'), logged_to(tmp_path / 'file' / 'log'):
        pass


@FULL
def test_a_full_disk_asks_the_run_to_stop(tmp_path, monkeypatch, capsys):
    with logged_to(tmp_path / 'log'):
        with open('/dev/full', 'wb') as full:
            os.dup2(full.fileno(), sys.stdout.file.fileno())
        stopping.check()
        print('x' * 100_000)
        print('more')  # of the next lines, none raises
        sys.stdout.flush()
        expected = f'stopped by the log {tmp_path}/log, which takes no more \\({os.strerror(errno.ENOSPC)}\\)'
        with pytest.raises(stopping.Stopped, match=expected) as stop:
            stopping.check()
    assert stop.value.status == 2
    assert len(stopping._asked) == 1
    assert capsys.readouterr().out == 'x' * 100_000 + '\nmore\n'


@FULL
def test_a_disk_that_is_full_at_the_end_breaks_nothing(tmp_path, capsys):
    with logged_to(tmp_path / 'log'):
        with open('/dev/full', 'wb') as full:
            os.dup2(full.fileno(), sys.stdout.file.fileno())
        print('a line that waits for its writing')


READER = (
    'import sys, time\n'
    'from pathlib import Path\n'
    'from paul_plugin.host.log import logged_to\n'
    'from paul_plugin.commands.failures import exit_with\n'
    'from paul_plugin.runtime import stopping, streams\n'
    'streams.prepare()\n'
    'sys.stdout.reconfigure(line_buffering=True)\n'
    'try:\n'
    '    with stopping.stop_signals(), logged_to(Path(sys.argv[1])):\n'
    '        for step in range(1000):\n'
    "            print('step', step)\n"
    '            time.sleep(0.01)\n'
    '            stopping.check()\n'
    'except Exception as error:\n'
    '    exit_with(error)\n'
)


def test_the_reader_of_the_output_is_gone(tmp_path):
    process = Fork(READER, tmp_path / 'log')
    assert process.stdout.readline() == 'step 0\n'
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait() == 2
    expected = 'stopped by the standard output, which takes no more (Broken pipe): go on with model.resume auto\n'
    assert told == expected
    assert (tmp_path / 'log').read_text().startswith('step 0\nstep 1\n')  # what the reader missed is here


@pytest.mark.parametrize('closed', [[1], [0, 1, 2]])
def test_a_closed_stream_is_no_error(tmp_path, closed):
    """Nor is what is printed found in the next file that was opened, which would get the stream's number."""
    library = "os.write(1, b'of a library'); print('!', file=sys.stderr)"
    words = READER.replace('1000', '3').replace("print('step', step)", f"print('step', step); {library}")
    words = words.replace('for step', "data = open(sys.argv[1] + '.data', 'wb')\n        for step")
    for number in closed:  # as Python begins where the shell has closed them
        words = f'os.close({number}); sys.{("stdin", "stdout", "stderr")[number]} = None\n{words}'
    process = Fork(f'import os, sys\n{words}', tmp_path / 'log')
    assert 'Traceback' not in process.communicate()[1]
    assert process.poll() == 0
    assert (tmp_path / 'log').read_text() == 'step 0\nstep 1\nstep 2\n'
    assert (tmp_path / 'log.data').read_bytes() == b''


def test_a_stream_without_a_descriptor_may_fail_too(tmp_path):
    class Failing:
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, 'Broken pipe')

        def flush(self):
            pass

    with contextlib.redirect_stdout(Failing()), logged_to(tmp_path / 'log'):
        print('a')
        assert stopping.requested()
    assert (tmp_path / 'log').read_text() == 'a\n'


def test_a_name_that_the_output_cannot_show(tmp_path):
    """Of a file whose name is no text, on an output that takes ASCII alone."""
    words = READER.replace('1000', '1').replace("'step', step", r"'\u00e9\udcff'")
    process = Fork(f"import sys; sys.stdout.reconfigure(encoding='ascii', errors='strict')\n{words}", tmp_path / 'log')
    assert (process.communicate()[0], process.poll()) == ('\\xe9\\udcff\n', 0)
    assert (tmp_path / 'log').read_bytes() == '\u00e9'.encode() + rb'\udcff' + b'\n'
