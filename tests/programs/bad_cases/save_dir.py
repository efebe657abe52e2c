"""Folders that a run cannot write to, and disks that are full."""

from programs.bad_cases.case import AUTO, RAN, Case
from programs.bad_cases.files import copy, write
from programs.bad_cases.limits import another_run, as_another_user, full_disk, read_only, small_files

FULL = 'cannot write HERE/log/model/model.pth.tar-[0-9-]*: %s; the checkpoints before it are untouched, make room'

CASES = [
    Case('a file', 'data.save_dir HERE/log', 'data.save_dir', prepare=write('log', 'text')),
    Case('another run', '', 'another run writes into HERE/log: wait for it, or choose', limit=another_run),
    Case('in /proc', 'data.save_dir /proc/log', '/proc/log'),
    Case(
        'read-only',
        '',
        'into the folder HERE/log .Permission denied.: choose another data.save_dir',
        prepare=read_only,
        limit=as_another_user,
    ),
    Case(
        'holds a folder named results.json',
        '',
        'HERE/log/results.json: Is a directory',
        prepare=lambda here: (here / 'log/results.json').mkdir(parents=True),
    ),
    Case('full to the last byte', '', 'No space left on device', prepare=full_disk),
    Case(
        'files limited, with checkpoints',
        AUTO.replace('2', '3'),
        FULL % 'File too large',
        prepare=copy('log'),
        limit=small_files,
        writes=RAN,
    ),
]
