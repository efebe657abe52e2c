"""Which camera took the images of a folder: by a regular expression on their paths, or by the number after `_c`."""

import os
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..config.rules import why_no_camera_pattern
from ..runtime.errors import UserError, printable, show
from .ids import normal

_NUMBER = re.compile(r'_c(\d+)')  # Market-1501's names
_COUNTED = re.compile(r'(.*_c)(\d+)')  # a file's name but for its suffix, which may end in a detector's counter
_EXAMPLES = 3  # names that are shown of a guess
_LISTED = 20  # cameras that are told with their crops


def natural(name: str) -> tuple:
    """Sorts names as people do, c2 before c10.

    Example:
        >>> sorted(['c10', 'c2', 'gate'], key=natural)
        ['c2', 'c10', 'gate']
    """
    parts = re.split(r'([0-9]+)', name)
    numbers = (part.lstrip('0') for part in parts[1::2])
    return parts[::2], [(len(number), number) for number in numbers], name


def cameras_by_name(images: Sequence[str], top: str, pattern: str = '') -> dict[str, str | None]:
    """The cameras' names by the images' own.

    Args:
        images: absolute paths.
        top: the folder.
        pattern: a regular expression with one group, which is searched for in an image's path relative to the folder,
            with forward slashes; the group holds the camera's name. Without one, it is the number after `_c` in the
            file's name.

    Returns:
        Image -> camera; None of an image without a number.

    Raises:
        UserError: if the pattern is none, or if an image does not match it; without one, if the number after `_c` ends
            in a detector's counter.

    Example:
        >>> cameras_by_name(['/crops/gate 2/1.jpg'], '/crops', r'gate (\\d+)/')
        {'/crops/gate 2/1.jpg': '2'}
    """
    if not pattern:
        found = ((image, _NUMBER.search(os.path.basename(image))) for image in images)
        cameras = {image: match and str(int(match[1])) for image, match in found}
        if None not in cameras.values():
            _check_counter(images, top)
        return cameras
    wrong = why_no_camera_pattern(pattern)
    if wrong:
        raise UserError(f'folder.camera = {show(pattern)}: {wrong}')
    compiled = re.compile(pattern)
    matches = {image: compiled.search(_relative(image, top)) for image in images}
    others = [image for image, match in matches.items() if not (match and match[1])]
    if others:
        raise UserError(
            f'folder.camera = {show(pattern)}: {len(others)} of {len(images)} images in {printable(top)} do not match, '
            f'such as {printable(_relative(others[0], top))}: correct the expression, or rename or take out the images'
        )
    return {image: normal(match[1]) for image, match in matches.items()}


def _check_counter(images: Sequence[str], top: str) -> None:
    """Refuses numbers that a detector has made longer: of one picture it saves x_c1.jpg, x_c12.jpg, x_c13.jpg.

    Where there are cameras 10 and 11 as well, 12 is one.

    Raises:
        UserError: naming three such files, and the expression that finds the cameras.
    """
    numbers = defaultdict(list)  # the path before the number -> those that follow
    for image in images:
        match = _COUNTED.fullmatch(os.path.splitext(_relative(image, top))[0])
        if match:
            numbers[match[1]].append((match[2], image))
    known = {number for found in numbers.values() for number, _ in found}
    for found in numbers.values():
        own = dict(found)
        for number in sorted(own, key=natural):
            if f'{number}2' in own and not known & {f'{number}0', f'{number}1'}:
                boxes = [own[name] for name in sorted(own, key=natural) if name.startswith(number)]
                raise UserError(
                    f'{len(images)} images in {printable(top)} name their cameras by the number after _c, but '
                    f'{_examples(boxes, top)} seem to be the boxes of one picture, counted by a detector: name the '
                    f"cameras by folder.camera, such as '_c(\\d{{{len(number)}}})', or '_c(\\d+)' if they are right"
                )


def _examples(images: Sequence[str], top: str) -> str:
    return ', '.join(printable(_relative(image, top)) for image in images[:_EXAMPLES])


def why_doubtful(cameras: Mapping[str, str], top: str, k: int) -> tuple[str, bool]:
    """What speaks against cameras that were guessed by the number after `_c`, and whether it must be asked.

    Args:
        cameras: image -> camera.
        top: the folder.
        k: neighbours in PEDAL, which a camera needs crops for.

    Returns:
        One line, or nothing where the median camera has 2 k crops; whether there are more cameras than that has crops.
    """
    count = Counter(cameras.values())
    median = statistics.median_low(count.values()) if count else 0
    if len(count) < 2 or median >= 2 * k:
        return '', False
    first = {camera: image for image, camera in reversed(cameras.items())}
    named = _examples([first[camera] for camera in sorted(first, key=natural)], top)
    return (
        f'the numbers after _c make {len(count)} cameras in {printable(top)}, of {median} crops in the median, '
        f"such as {named}: name the cameras by folder.camera, a regular expression, '_c(\\d+)' if they are right, "
        "'_(c)' if there is one"
    ), len(count) > median


def _relative(image: str, top: str) -> str:
    return os.path.relpath(image, top).replace(os.sep, '/')


def cameras_of_training(
    images: Sequence[str], top: str, pattern: str = '', listed: Mapping[str, str] | None = None, labels: str = ''
) -> dict[str, str]:
    """The cameras of the training images, image -> name; nothing where not all of them are known.

    Args:
        images, top, pattern: of `cameras_by_name`.
        listed: those that a CSV file tells.
        labels: the CSV file.

    Raises:
        UserError: if the CSV file tells those of some, or if there is a pattern, too; what `cameras_by_name` raises.
    """
    if not listed:
        found = cameras_by_name(images, top, pattern)
        return {} if None in found.values() else found
    if pattern:
        raise UserError(
            f'folder.camera = {show(pattern)}: {printable(labels)} tells the cameras of training images, too: '
            'take out one of the two'
        )
    missing = [image for image in images if image not in listed]
    if missing:
        raise UserError(
            f'{printable(labels)} tells the cameras of training images, but not of {len(missing)} of {len(images)}, '
            f'such as {printable(_relative(missing[0], top))}: list all of them (PATH,,CAMERA), or none'
        )
    return {image: listed[image] for image in images}


def cameras_in_words(cameras: Mapping[str, str], top: str) -> list[str]:
    """What is known of the training images' cameras, lines: how one was read, and how many each camera has."""
    if not cameras:
        way = 'name them by folder.camera, a regular expression, or by _c1, _c2, ... in all names'
        return [f'  cameras: unknown ({way})']
    image, camera = next(iter(cameras.items()))
    count = Counter(cameras.values())
    told = [f'{printable(name)} ({count[name]} crops)' for name in sorted(count, key=natural)]
    more = f', ... ({len(told)} cameras)' if len(told) > _LISTED else ''
    return [
        f'  read: {printable(_relative(image, top))}: camera {printable(camera)}',
        f'  cameras: {", ".join(told[:_LISTED])}{more}',
    ]


def numbers_of_cameras(training: Iterable[str], others: Iterable[str]) -> dict[str, int]:
    """Camera -> its number: those of training images first, so that images to test on change none of their numbers."""
    first = set(training)
    names = [*sorted(first, key=natural), *sorted(set(others) - first, key=natural)]
    return {name: number for number, name in enumerate(names)}
