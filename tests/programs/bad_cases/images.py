"""Images that cannot be read, and odd ones that can."""

import os
from pathlib import Path

from programs.bad_cases.case import OWN, Case, ends_well
from programs.bad_cases.files import GALLERY, QUERY, TRAIN, damaged_png, data, grey16, picture, replace, unreadable
from programs.bad_cases.limits import as_another_user

# What is bad -> (makes it in the place of a good image, the reason that is given).
BAD_IMAGES = {
    'truncated JPEG': (lambda path, content: path.write_bytes(content[: len(content) // 2]), 'it is damaged'),
    'zero bytes': (lambda path, content: path.touch(), 'it is empty .0 bytes.'),
    'PostScript, a program': (
        lambda path, content: path.write_text('%!PS-Adobe-3.0 EPSF-3.0\n'),
        'it is no image of a known format',
    ),
    'one column more than a crop has': (
        lambda path, content: path.write_bytes(b'P6 4001 4000 255\n' + bytes(1000)),
        'it has more than 16000000 pixels',
    ),
    'a pipe': (lambda path, content: os.mkfifo(path), 'it is a pipe or a device'),
    'no permission': (unreadable, 'no permission to read it'),
}
ODD_IMAGES = {
    'CMYK': picture('CMYK', (24, 48), 'JPEG'),
    '16-bit grey': grey16,
    'in a file that is not named in UTF-8': lambda path, content: Path(
        os.fsdecode(os.fsencode(path.with_suffix('')) + b'\xff.jpg')
    ).write_bytes(content),
}

IMAGES = [
    *(
        Case(
            f'{name}, in train',
            OWN,
            f'1 of 12 train images cannot be read: data.bad_images skip leaves them out\nerror: .*jpg: {reason}',
            prepare=data(replace(TRAIN, make)),
            limit=as_another_user,
        )
        for name, (make, reason) in BAD_IMAGES.items()
    ),
    *(
        Case(
            f'truncated JPEG, in {part}',
            f'{OWN} data.bad_images skip',
            f'1 of 4 {part} images cannot be read: replace them or take them out\nerror: .*jpg: it is damaged',
            prepare=data(replace(folder, BAD_IMAGES['truncated JPEG'][0])),
        )
        for part, folder in (('query', QUERY), ('gallery', GALLERY))
    ),
    ends_well(
        'four bad ones in train, data.bad_images skip',
        f'{OWN} data.bad_images skip',
        '(?s)(4 training images were left out .data.bad_images skip.:(\n  [^\n]*jpg: it is [^\n]*){4}.*){2}Results on',
        prepare=data(replace(TRAIN, damaged_png, *(make for make, _ in list(BAD_IMAGES.values())[:3]))),
    ),
    Case(
        'all bad, data.bad_images skip',
        f'{OWN} data.bad_images skip',
        'not one training image can be read',
        prepare=data(replace(TRAIN, *[BAD_IMAGES['zero bytes'][0]] * 12)),
    ),
    Case(
        'damaged in the middle, found when it is read by a worker',
        f'{OWN} data.workers 1',
        r'^error: bad image \S*jpg: it is damaged .*: replace it or take it out of the data set$',
        prepare=data(replace(TRAIN, damaged_png)),
        writes='.*',
    ),
    *(
        ends_well(f'{name}, in train', OWN, 'Written to', prepare=data(replace(TRAIN, make)))
        for name, make in ODD_IMAGES.items()
    ),
]
