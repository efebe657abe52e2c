"""What the looks of a folder's crops tell its user: near-copies, queries' own pictures, pictures without contrast."""

import os
from collections import defaultdict
from collections.abc import Sequence

from ..runtime.errors import UserError, printable
from .cameras import natural
from .labels_file import Labelled
from .looks import Looks, find_near_copies, same_pictures

_NAMED = 3  # files that are named of many


def without_near_copies(
    looks: Looks, train: list[str], camera_of: dict[str, str], top: str, way: str
) -> tuple[list[str], list[str]]:
    """The training images without near-copies, or all of them, by `folder.near_copies`, and what there is to say."""
    of_camera = defaultdict(list)
    for image in sorted(train, key=natural):
        of_camera[camera_of.get(image)].append(image)
    copies = {image: first for images in of_camera.values() for image, first in find_near_copies(looks, images).items()}
    if not copies:
        return train, []
    left = [image for image in train if image not in copies]
    image, first = next(iter(copies.items()))
    done = {
        'one': f'{len(left)} are trained on, one for those that it nearly equals (folder.near_copies keep takes all)',
        'keep': 'all are trained on, which blinds neighbours and signs (folder.near_copies one takes one of them)',
    }
    said = (
        f'  near-copies: {len(copies)} of {len(train)} crops nearly equal another of their camera, such as '
        f'{_name(image, top)} (= {_name(first, top)}): {done[way]}; of a video, one frame a second is enough '
        '(vid_stride)'
    )
    return (left if way == 'one' else train), [said]


def told_own_pictures(looks: Looks, query: Sequence[Labelled], gallery: Sequence[Labelled], top: str) -> list[str]:
    """A warning where queries find their own picture in the gallery, which a test takes for a true match."""
    of = {item.path: item for item in gallery}
    queries = {item.path: item for item in query}
    found = {
        own: other
        for own, other in same_pictures(looks, list(queries), list(of))
        if of[other].person == queries[own].person and of[other].camera != queries[own].camera
    }
    if not found:
        return []
    own, other = next(iter(found.items()))
    return [
        f'  warning: {len(found)} of {len(query)} queries find their own picture, saved anew, in the gallery, such as '
        f'{_name(own, top)} (= {_name(other, top)}): the results say nothing of these: take such pictures out'
    ]


def told_contrast(looks: Looks, images: Sequence[str], top: str, stretch: bool) -> list[str]:
    """A warning where pictures have no contrast.

    Raises:
        UserError: if most of them have none: descriptors of them all are one.
    """
    flat = looks.without_contrast(images)
    if not flat:
        return []
    named = ', '.join(_name(image, top) for image in flat[:_NAMED])
    way_out = 'give them contrast, or take them out'
    if not stretch and looks.grey16.issuperset(flat):
        way_out = (
            'they are grey ones of 16 bits and take a small part of the range, as thermal ones do: data.stretch True '
            'scales each from its own darkest to its brightest'
        )
    said = f'{len(flat)} of {len(images)} pictures have no contrast, such as {named}: {way_out}'
    if 2 * len(flat) > len(images):
        raise UserError(f'{printable(top)}: {said}')
    return [f'  warning: {said}']


def _name(image: str, top: str) -> str:
    return printable(os.path.relpath(image, top))
