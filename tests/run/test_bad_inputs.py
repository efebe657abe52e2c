"""The table of bad inputs: every row ends as it must, and the program that makes it finds what is wrong with one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from programs.bad_inputs import Case, Outcome, changes, faults


def test_every_bad_input():
    """By the program, which has not run torch when it forks: a fork of this process would hang."""
    command = [sys.executable, Path(__file__).parents[1] / 'programs/bad_inputs.py', '--json']
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    assert {row['about']: row['faults'] for row in rows if row['faults']} == {}
    assert len(rows) >= 44
    assert {row['about'].partition(':')[0] for row in rows} == {
        'config', 'data', 'image', 'weights', 'resume', 'save_dir', 'training'
    }  # fmt: skip


CASE = Case('a bad value', 'train.lr fast', 'expected float')
GOOD = Outcome(2, 0.1, 'Building ...\n', "error: train.lr = 'fast': expected float\n", [])


def test_a_good_refusal_has_no_faults():
    assert faults(CASE, GOOD) == []
    bar = 'Filling the patch memory bank: 100%|███| 2/2 [00:00<00:00, 51.69it/s]\n'
    assert faults(CASE, GOOD._replace(err=bar + GOOD.err)) == []


@pytest.mark.parametrize(
    ('bad', 'words'),
    [
        ({'status': None}, 'hangs'),
        ({'status': 0}, 'status 0, expected 2'),
        ({'err': 'error: train.lr = 3\n'}, 'does not say'),
        ({'err': f'{GOOD.err}Traceback (most recent call last):\n'}, 'prints a traceback'),
        ({'out': 'Traceback (most recent call last):\n'}, 'prints a traceback'),
        ({'err': f'{GOOD.err}Killed\n'}, 'do not begin with "error: "'),
        ({'err': GOOD.err * 13}, 'says 13 lines'),
        ({'changed': ['shared/reid-data/a.jpg']}, 'changes shared/reid-data/a.jpg'),
    ],
)
def test_faults_are_found(bad, words):
    assert any(words in fault for fault in faults(CASE, GOOD._replace(**bad)))


def test_changes_are_found():
    before = {'case/log': 1, 'case/log/model/a': 1, 'shared/a': 1, 'shared/b': 1}
    after = {'case/log': 2, 'case/log/model/a': 2, 'case/log/train.log-1': 1, 'shared/b': 2, 'shared/c': 1}
    expected = ['case/log/model/a', 'shared/a', 'shared/b', 'shared/c']
    assert changes(before, after, CASE.writes) == expected
    assert changes(before, after, '.*') == expected[1:]
