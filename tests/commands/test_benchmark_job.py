"""The benchmark's whole job: where its seconds go by its lines, what is said of one that fails, how it grows."""

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / 'tools'))
from benchmarks import job_growth as growth
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
    with pytest.raises(UserError, match='ended with status 1$'):
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


def test_another_program_may_start_the_job(tmp_path):
    folder = checkout(tmp_path, 'import os\nassert os.environ["BY"] == "launcher"\n')
    run_job(folder, [], launcher=['/usr/bin/env', 'BY=launcher', sys.executable])


@pytest.mark.parametrize(
    ('grows_with', 'seconds_of'),
    [
        ('images', lambda images: 3 * images),
        ('their square', lambda images: 2 * images**2),
        ('images and their square', lambda images: 3 * images + 2 * images**2),
    ],
)
def test_a_stage_is_reckoned_as_it_grows(grows_with, seconds_of):
    sizes = [1, 10, 100]
    found = growth.reckoned(sizes, [seconds_of(size) for size in sizes], 10_000, grows_with)
    assert found == pytest.approx(seconds_of(10_000), rel=1e-9)


def test_growth_is_told_for_a_million_crops_and_drawn(tmp_path, monkeypatch, capsys):
    def measured(images, launcher, folder):
        seconds = 0.36 * images / (2 if launcher else 1)
        return {'in all': 9.0, 'peak_mib': images} | dict.fromkeys(growth.STAGES, seconds)

    monkeypatch.setattr(growth, 'measured', measured)
    growth.job_growth([1000, 10_000], str(tmp_path / 'growth.png'))
    told = capsys.readouterr().out
    assert '| 10,000, two | 9.0 s | 1800.0 s | 1800.0 s | 1800.0 s | 10000 |' in told
    assert '| 1,000,000, one, reckoned | | 100.0 h | 10000.0 h | 100.0 h | |' in told
    with Image.open(tmp_path / 'growth.png') as picture:
        assert 1400 <= picture.width <= 1402
