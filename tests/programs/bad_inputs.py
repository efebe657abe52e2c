"""Gives the job bad inputs, each in a process of its own, and shows what it says to each in a table.

A program; `test_bad_inputs.py` runs it and checks every row:

    python tests/programs/bad_inputs.py
"""

import argparse
import contextlib
import functools
import gc
import hashlib
import json
import multiprocessing
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch._dynamo  # optimizers import it

sys.path.insert(0, str(Path(__file__).parents[1]))  # this program is run by its path, too
from helpers.bad_weights import bad_files
from programs.bad_cases import config, data, images, resume, save_dir, training
from programs.bad_cases.case import TWO, Case, NotPossible
from programs.bad_cases.weights import DAMAGED, weights
from programs.kill_and_resume import PROJECT, kill, run

from paul_plugin.data.synthetic.render import render
from paul_plugin.run import stages  # noqa: F401  # what a run imports late, a fork has

SECONDS = 60  # that a run may take, from the fork, before it counts as hung: on a busy machine float16 takes 10

# HERE is the folder of the case; SHARED holds the data set and the log of a run of two epochs.
BASE = f"""
    --config-file {PROJECT}/configs/paul_synthetic.yaml --root SHARED/reid-data -s market1501 -t market1501
    data.save_dir HERE/log data.workers 0 data.height 48 data.width 48 use_gpu False
    paul.pretrain.config '' paul.k 3 paul.r 2 paul.feature_dim 8
    train.batch_size 6 train.max_epoch 1 train.stepsize [1] train.checkpoint_minutes 0 train.keep_checkpoints 9
"""


class Outcome(NamedTuple):
    """What a run did; `status` is None if it was killed after SECONDS."""

    status: int | None
    seconds: float
    out: str
    err: str
    changed: list[str]


def cases(shared: Path) -> dict[str, list[Case]]:
    return {
        'config': config.CONFIG,
        'data': data.DATA,
        'image': images.IMAGES,
        'weights': weights(json.loads((shared / 'words.json').read_text())),
        'resume': resume.RESUME,
        'save_dir': save_dir.SAVE_DIR,
        'training': training.TRAINING,
    }


def prepare_shared(shared: Path) -> None:
    """The data set, the weight files, and the log of a run of two epochs."""
    counts = {'train_ids': 3, 'test_ids': 2, 'images_per_id': 4}
    render(shared / 'reid-data/market1501', 'target', seed=5, **counts)
    (shared / 'bad').mkdir()
    words = {}
    for name, (content, words[name]) in bad_files(shared, dim=8).items():
        if name in DAMAGED:
            torch.save(content, shared / 'bad' / f'{name}.pth')
    (shared / 'words.json').write_text(json.dumps(words))


def start(argv: list[str], output: Path, errors: Path | None = None, before=lambda: None) -> multiprocessing.Process:
    """Forks a process that calls `before` and runs the job; both streams go to `output` where there is no `errors`."""

    def target() -> None:
        before()
        run(argv, output, errors or output)

    process = multiprocessing.get_context('fork').Process(target=target)
    process.start()
    return process


def finish(process: multiprocessing.Process) -> None:
    """Waits for a process that must end well; torch runs in processes of their own, after it no fork would."""
    if process.pid is None:
        process.start()
    process.join()
    if process.exitcode:
        sys.exit(f'the good inputs cannot be prepared: status {process.exitcode}')


def command_line(words: str, here: Path) -> list[str]:
    places = {'HERE': str(here), 'SHARED': str(here.parent / 'shared')}
    return [re.sub('HERE|SHARED', lambda match: places[match[0]], word) for word in shlex.split(f'{BASE} {words}')]


@functools.cache
def hash_of(path: Path, *identity: int) -> str:
    """Of a file's content, which is read again only where its identity, its times among it, is another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, tuple]:
    """What is in a folder: path -> kind and mode, and the hash of a file, the target of a link."""
    found = {}
    for path in folder.rglob('*'):
        status = path.lstat()
        mode, content = status.st_mode, ''
        if stat.S_ISREG(mode):
            content = hash_of(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        elif stat.S_ISLNK(mode):
            content = os.readlink(path)
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def changes(before: dict, after: dict, writes: str) -> list[str]:
    """The paths that were changed, added or removed, but for what the run may write."""
    differ = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return [path for path in differ if not re.fullmatch(f'case/log(/({writes}))?', path)]


def run_case(case: Case, folder: Path) -> Outcome:
    """Runs a case in HERE, `folder/case`, which is removed afterwards.

    Raises:
        NotPossible: if it cannot be made here.
    """
    here = folder / 'case'
    here.mkdir()
    streams = [folder.parent / name for name in ('out.txt', 'err.txt')]
    for path in streams:
        path.write_text('')
    try:
        case.prepare(here)
        before = tree(folder)
        begin = time.monotonic()
        process = start(command_line(case.words, here), *streams, before=lambda: case.limit(here))
        process.join(SECONDS)
        seconds = time.monotonic() - begin
        kill(process)  # the workers of a process that ended, too
        status = process.exitcode if seconds < SECONDS else None
        changed = changes(before, tree(folder), case.writes)
        out, err = (
            path.read_text(errors='replace').replace(str(here), 'HERE').replace(str(folder / 'shared'), 'SHARED')
            for path in streams
        )
        return Outcome(status, seconds, out, err, changed)
    finally:
        if os.path.ismount(here / 'log'):
            subprocess.run(['umount', here / 'log'], check=True)
        shutil.rmtree(here)


# tqdm's bars of progress, and the two lines of a warning of Python's, which torchreid gives for an old layout.
NOT_OURS = re.compile(
    r'^(Rendering|Looking at the crops|Filling the patch memory bank)\b.*$|^\S+\.py:\d+: \w+: .*\n  .*$', re.MULTILINE
)


def lines_of(err: str) -> list[str]:
    """The lines of standard error but for empty ones and those that are not ours."""
    return [line for line in NOT_OURS.sub('', err).splitlines() if line.strip()]


def faults(case: Case, outcome: Outcome) -> list[str]:
    """What a run did that it must not do."""
    found = []
    lines = lines_of(outcome.err)
    said = outcome.err if case.status else outcome.out + outcome.err
    if outcome.status is None:
        found.append(f'hangs: killed after {SECONDS} s')
    elif outcome.status != case.status:
        found.append(f'status {outcome.status}, expected {case.status}')
    if not re.search(case.expected, said, re.MULTILINE):
        found.append(f'does not say {case.expected!r}')
    if 'Traceback' in outcome.out + outcome.err:
        found.append('prints a traceback')
    others = [line for line in lines if not line.startswith('error: ')]
    if others:
        found.append(f'says {len(others)} lines that do not begin with "error: ", the last: {others[-1]}')
    if len(lines) > 12:  # bad_in_words shows ten images
        found.append(f'says {len(lines)} lines')
    return found + [f'changes {path}' for path in outcome.changed]


def message(case: Case, outcome: Outcome) -> str:
    """What a run says to its input: the errors, or the line that was expected of one that goes to its end."""
    if outcome.status:
        return '<br>'.join(line.removeprefix('error: ') for line in lines_of(outcome.err))
    said = outcome.out + outcome.err
    match = re.search(case.expected, said, re.MULTILINE)
    return said[said.rfind('\n', 0, match.start()) + 1 :].partition('\n')[0] if match else ''


def run_all(folder: Path, only: str = '') -> list[dict]:
    """Runs the cases whose name matches; a row of the table each."""
    shared = folder / 'shared'
    shared.mkdir(parents=True)
    with contextlib.redirect_stdout(sys.stderr):
        finish(multiprocessing.get_context('fork').Process(target=prepare_shared, args=(shared,)))
    finish(start(command_line(f'data.save_dir SHARED/log {TWO}', folder / 'case'), folder.parent / 'out.txt'))
    os.chdir(folder)  # what a run writes under a relative path is a change, too
    rows = []
    for group, members in cases(shared).items():
        for case in members:
            about = f'{group}: {case.about}'
            if not re.search(only, about):
                continue
            try:
                outcome = run_case(case, folder)
            except NotPossible:
                continue
            row = {'about': about, 'status': outcome.status, 'seconds': round(outcome.seconds, 2)}
            rows.append({**row, 'message': message(case, outcome), 'faults': faults(case, outcome)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true', help='a list of rows instead of a table')
    parser.add_argument('--only', default='', help='regular expression that finds the inputs to run')
    options = parser.parse_args()
    gc.freeze()  # what is imported is no garbage: a fork that looked for some would copy all of it
    with tempfile.TemporaryDirectory() as folder:
        rows = run_all(Path(folder, 'inputs'), options.only)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print('| input | status | message |\n| --- | --- | --- |')
        for row in rows:
            print(f'| {row["about"]} | {row["status"]} | {row["message"].replace("|", " ")} |')
    for row in rows:
        for fault in row['faults']:
            print(f'{row["about"]}: {fault}', file=sys.stderr)
    sys.exit(any(row['faults'] for row in rows))


if __name__ == '__main__':
    main()
