"""Images that cannot be read, and an odd one that can."""

import os
from pathlib import Path

from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.files import QUERY, TRAIN, damaged_png, data, replace, unreadable
from programs.bad_cases.limits import as_another_user

SKIP = f'{OWN} data.bad_images skip'


def truncated(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path, content: bytes) -> None:
    path.touch()


def pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def not_utf8(path: Path, content: bytes) -> None:
    Path(os.fsdecode(os.fsencode(path.with_suffix('')) + b'\xff.jpg')).write_bytes(content)


CASES = [
    *(
        Case(
            f'{name}, in train',
            OWN,
            f'1 of 12 train images cannot be read: data.bad_images skip leaves them out\nerror: .*jpg: {reason}',
            prepare=data(replace(TRAIN, make)),
            limit=as_another_user,
        )
        for name, make, reason in (
            ('truncated JPEG', truncated, 'it is damaged'),
            ('a pipe', pipe, 'it is a pipe or a device'),
            ('no permission', unreadable, 'no permission to read it'),
        )
    ),
    Case(
        'truncated JPEG, in query',
        SKIP,
        '1 of 4 query images cannot be read: replace them or take them out\nerror: .*jpg: it is damaged',
        prepare=data(replace(QUERY, truncated)),
    ),
    ends_well(
        'three bad ones in train, data.bad_images skip',
        SKIP,
        '(?s)(3 training images were left out .data.bad_images skip.:(\n  [^\n]*jpg: it is [^\n]*){3}.*){2}Results on',
        prepare=data(replace(TRAIN, damaged_png, truncated, empty)),
    ),
    Case(
        'all bad, data.bad_images skip',
        SKIP,
        'not one training image can be read',
        prepare=data(replace(TRAIN, *[empty] * 12)),
    ),
    Case(
        'damaged in the middle, found when it is read by a worker',
        f'{OWN} data.workers 1',
        r'^error: bad image \S*jpg: it is damaged .*: replace it or take it out of the data set$',
        prepare=data(replace(TRAIN, damaged_png)),
        writes='.*',
    ),
    ends_well('in a file that is not named in UTF-8', OWN, 'Written to', prepare=data(replace(TRAIN, not_utf8))),
]
