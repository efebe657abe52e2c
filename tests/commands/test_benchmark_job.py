"""The benchmark's whole job: where its seconds go by its lines, and what is said of one that fails."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / 'tools'))
from benchmarks.job import job_by_stage, run_job, seconds_of_stages

from paul_plugin.runtime.errors import UserError

LINES = """\
 0.5 a line of no stage
 2.0 Building model: paul_osnet_x0_25
 5.0 Signs of cameras, filled: mutuality 0.500
 6.0 Positives: 9.99 an image
 8.0 epoch: [1/2][2/4]\ttime 0.9 (1.0)\tdata 0.4 (0.3)\teta 0:00:02\tlr 0.1
10.0 epoch: [1/2][4/4]\ttime 0.9 (1.0)\tdata 0.4 (0.2)\teta 0:00:02\tlr 0.1
11.0 Signs of cameras, epoch 1: mutuality 0.574
15.0 epoch: [2/2][4/4]\ttime 0.9 (1.0)\tdata 0.4 (0.1)\teta 0:00:02\tlr 0.1
15.5 Written to results.json"""


def test_seconds_go_to_the_stage_that_a_line_ends():
    lines = [(float(line[:4]), line[5:]) for line in LINES.splitlines()]
    assert seconds_of_stages(lines) == {
        'start of the program, data set': 2.0,
        'filling the bank': 3.0,
        'choosing positives': 1.0,
        'steps': 8.0,
        'signs': 1.0,
        'rest': 0.5,
        'steps, of which waiting for data': pytest.approx(0.2 * 4 + 0.1 * 4),
    }


def test_a_bank_that_is_filled_to_try_rates_is_no_choice_of_positives():
    lines = [
        (1.0, 'Signs of cameras, start: mutuality 0.5'),
        (1.5, 'train.lr auto: tries up to 30 steps at each rate, the largest first'),
        (8.0, 'Positives: 9.99 an image'),
        (9.0, '  rate 0.01: bank recall at the start and the end of 5 steps: 0.90, 0.90, taken'),
        (9.5, 'Positives: 9.99 an image'),
    ]
    assert seconds_of_stages(lines) == {'signs': 1.0, 'filling the bank, trying rates': 8.0, 'choosing positives': 0.5}


def checkout(folder, program):
    """A checkout whose `tools/main.py` is this program."""
    (folder / 'tools').mkdir(parents=True)
    (folder / 'tools' / 'main.py').write_text(program)
    return folder


def test_a_job_runs_in_a_process_of_its_own_with_its_arguments(tmp_path):
    program = 'import sys\nprint("Building model", flush=True)\nassert sys.argv[1:3] == ["train.seed", "1"], sys.argv\n'
    seconds, peak, stages = run_job(checkout(tmp_path, program), ['train.seed', '1'])
    assert 0 < stages['start of the program, data set'] <= seconds
    assert peak > 1  # MiB, of any Python


def test_a_job_that_fails_shows_its_last_lines(tmp_path, capsys):
    with pytest.raises(subprocess.CalledProcessError):
        run_job(checkout(tmp_path, 'print("Building model")\nraise SystemExit("no such file")'), [])
    assert capsys.readouterr().out == 'Building model\nno such file\n\n'


def test_a_benchmark_of_a_job_that_fails_ends_in_a_line(tmp_path, monkeypatch):
    failing = checkout(tmp_path, 'raise SystemExit(2)')
    monkeypatch.setattr('benchmarks.job.__file__', str(failing / 'tools' / 'benchmarks' / 'job.py'))
    with pytest.raises(UserError, match=f'^the job in {failing} ended with status 2$'):
        job_by_stage([], 1)


def test_a_job_can_be_ended_at_a_line(tmp_path):
    program = 'import time\nprint("Building model", flush=True)\nprint("epoch 1", flush=True)\ntime.sleep(600)'
    seconds, _, stages = run_job(checkout(tmp_path, program), [], until='epoch 1')
    assert seconds < 300
    assert stages['start of the program, data set'] > 0
