"""Who is on the images of a folder, and which camera took them: by the folders query and gallery, or by a CSV file."""

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ..runtime.errors import UserError, printable, show
from .cameras import cameras_by_name, numbers_of_cameras
from .files import Odd, find_images
from .ids import as_id
from .labels_file import Labelled, read_labels

JUNK = '-1'  # Market-1501's person of boxes that are to be ignored
PARTS = ('query', 'gallery')


class Labels(NamedTuple):
    """What is known of a folder's images to test on.

    Attributes:
        query, gallery: the images.
        odd: what else lies in their folders.
        notes: what there is to say of them, lines.
        cameras: those of training images that a CSV file tells, image -> camera.
    """

    query: list[Labelled]
    gallery: list[Labelled]
    odd: Odd
    notes: list[str]
    cameras: dict[str, str]


def find_labelled(top: str, labels: str, camera: str = '', outputs: tuple[str, ...] = ()) -> Labels:
    """The images of query and of gallery, by the folders of these names in a folder or by a CSV file.

    Args:
        top: the folder.
        labels: the CSV file; empty for the folders.
        camera: the pattern of `cameras_by_name`, for the folders; a CSV file tells the cameras.
        outputs: folders that a run writes to, whose images are not read.

    Raises:
        UserError: if labels are given twice, wrong or incomplete.
    """
    parts = [part for part in PARTS if os.path.isdir(os.path.join(top, part))]
    where = printable(top)
    if labels and parts:
        raise UserError(
            f'{where} has a folder {parts[0]}, and folder.labels names {printable(labels)}: take out one of the two'
        )
    if len(parts) == 1:
        missing = next(part for part in PARTS if part not in parts)
        raise UserError(f'{where} has a folder {parts[0]} but no folder {missing}: a test needs both, training neither')
    if labels:
        rows = read_labels(labels, top)
        images = [row for row in rows if row.person]
        cameras = {row.path: row.camera for row in rows if not row.person}
        return Labels(images, images, defaultdict(list), _how_read(images, top), cameras)
    return _read_parts(top, camera, outputs) if parts else Labels([], [], defaultdict(list), [], {})


def _how_read(images: list[Labelled], top: str) -> list[str]:
    return [f'  read: {images[0].in_words(top)}'] if images else []


def _read_parts(top: str, camera: str, outputs: tuple[str, ...]) -> Labels:
    """As `find_labelled`, of the folders query and gallery."""
    found, odd = {}, defaultdict(list)
    for part in PARTS:
        folder = os.path.join(top, part)
        found[part], others = find_images(folder, outputs=outputs)
        for kind, files in others.items():
            odd[kind] += files
        if not found[part]:
            raise UserError(f'no image in {printable(folder)}: a test needs query and gallery, training neither')
    camera_of = cameras_by_name([image for images in found.values() for image in images], top, camera)
    unknown = next((image for image, camera in camera_of.items() if camera is None), None)
    query, gallery = (
        [Labelled(image, _person(image, top, part), part if unknown else camera_of[image]) for image in found[part]]
        for part in PARTS
    )
    notes = _how_read(query, top)
    if unknown:
        name = printable(os.path.relpath(unknown, top))
        notes.append(f'  query is one camera and gallery another: {name} names none (_c1, _c2, ...)')
    return Labels(query, gallery, odd, notes, {})


def _person(path: str, top: str, part: str) -> str:
    """The person of an image by its path within query or gallery.

    Raises:
        UserError: if there is none, or if it lies so deep that another folder may be meant for the person.
    """
    first, *inner = os.path.relpath(path, os.path.join(top, part)).split(os.sep)
    if len(inner) > 1:
        raise UserError(
            f'{printable(path)} lies too deep: the folder directly in {part} names the person, here '
            f'{printable(first)}, and none may lie in it: move the images up to {part}/PERSON/, '
            'or list them in a CSV file (folder.labels)'
        )
    person = first if inner else os.path.splitext(first)[0].partition('_')[0]
    named = as_id(person)
    if not named and inner:
        raise UserError(f'{printable(path)} names no person: its folder is {show(person)}: name it otherwise')
    if not named:
        raise UserError(f'{printable(path)} names no person before its first underscore: name it PERSON_...')
    return named


def without_match(query: Iterable[tuple], gallery: Iterable[tuple]) -> list[tuple]:
    """The queries that no test counts: the gallery has no image of the same person from another camera.

    Args:
        query, gallery: tuples that begin with path, person and camera, such as torchreid's items.

    Example:
        >>> without_match([('1.jpg', 7, 0), ('2.jpg', 8, 0)], [('3.jpg', 7, 1), ('4.jpg', 8, 0)])
        [('2.jpg', 8, 0)]
    """
    cameras = defaultdict(set)
    for _, person, camera, *_ in gallery:
        cameras[person].add(camera)
    return [item for item in query if not cameras[item[1]] - {item[2]}]


def check_cameras(query: list[Labelled], gallery: list[Labelled], top: str, labels: str = '', camera: str = '') -> None:
    """Refuses labels by which no query has a true match: torchreid drops those of its own camera.

    Raises:
        UserError: saying how an image was read, and the way out of a single camera.
    """
    if len(without_match(query, gallery)) < len(query):
        return
    alone = [item for item in query if item.person in {other.person for other in gallery}]
    read = ' and '.join(item.in_words(top) for item in [*(alone or query)[:1], *gallery[-1:]])
    if not alone:
        way_out = 'correct the names of the persons'
    elif labels:
        way_out = 'if there is one camera, give the images of a person several camid, such as one for each visit'
    elif camera:
        way_out = f'correct folder.camera, {show(camera)}'
    else:
        way_out = 'if there is one camera, take _c1 out of the names: query then is one camera and gallery another'
    raise UserError(
        f'{printable(labels or top)}: no person of query is in gallery under another camera{read and f" ({read})"}, '
        f'so there is nothing to measure: {way_out}, or take the labels out to train without a test'
    )


def numbered(
    training: dict[str, str], *parts: list[Labelled]
) -> tuple[list[list[tuple[str, int, int]]], list[str], dict[str, int]]:
    """torchreid's items of each part, persons by their numbers in these, and the number of each camera.

    Args:
        training: cameras of training images, which have numbers, too.
        parts: the images to test on.
    """
    people = sorted({item.person for part in parts for item in part})
    of_person = {name: number for number, name in enumerate(people)}
    of_camera = numbers_of_cameras(training.values(), (item.camera for part in parts for item in part))
    items = [[(item.path, of_person[item.person], of_camera[item.camera]) for item in part] for part in parts]
    return items, people, of_camera
