"""The data set `folder`: any tree of person crops, without labels; to test on, query/ and gallery/ or a CSV file."""

import csv
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from ..host.data import allow_empty, data
from ..runtime.errors import UserError, printable, show
from .files import Odd, _describe, describe_odd, find_copies, find_images

NAME = 'folder'
COLUMNS = ('path', 'pid', 'camid')  # of the CSV file
JUNK = '-1'  # Market-1501's person of boxes that are to be ignored
_PARTS = ('query', 'gallery')


class Labelled(NamedTuple):
    """An image to test on, its person and camera by any names."""

    path: str
    person: str
    camera: str


class Crops(NamedTuple):
    """What a folder holds.

    Attributes:
        folder: its absolute path.
        train: absolute paths of the training images, sorted.
        query, gallery: torchreid's items, (path, pid, camid).
        notes: what was left out and what else there is to say, lines; for `training` and `test`.
    """

    folder: str
    train: list[str]
    query: list[tuple[str, int, int]]
    gallery: list[tuple[str, int, int]]
    notes: dict[str, list[str]]


def read_crops(path: str, labels: str = '') -> Crops:
    """Finds the images of a folder, at any depth, and what is known of them.

    Query and gallery are the folders `query` and `gallery` in it, or both of them the images of a CSV file. In the
    folders the person is the name of the first sub-folder (`query/anna/1.jpg`), of an image that lies directly in
    them the part of its name before the first underscore (Market-1501's names); the camera is the number after `_c`
    in the image's name where all of them have one, otherwise query is one camera and gallery another. A CSV file has
    the header `path,pid,camid`; paths are relative to the folder, persons and cameras any text; torchreid drops a
    query's own image from its gallery. Images of person `-1` are left out.

    Hidden files (a leading dot), files that are no images, and copies (the same bytes as an image before it: query
    comes first, then gallery, then the rest by path) are left out. Linked folders are followed, each folder once.

    Raises:
        UserError: if there is no such folder, or if labels are wrong, incomplete, or leave nothing to measure.

    Example:
        >>> read_crops('my_crops').train
        ['/data/my_crops/monday/1.jpg', '/data/my_crops/tuesday/1.jpg']
    """
    top = check_folder(path)
    query, gallery, odd_labelled, notes = _read_labelled(top, labels)
    apart = [os.path.abspath(labels)] if labels else [os.path.join(top, part) for part in _PARTS if query]
    train, odd = find_images(top, skip=apart)

    labelled = {item.path: item for item in (*query, *gallery)}
    train = [image for image in train if image not in labelled]
    copies = find_copies([*labelled, *train])
    for image in copies:
        (odd_labelled if image in labelled else odd)['copy of another image'].append(image)
    odd_labelled[f'junk, person {JUNK}'] = [image for image, item in labelled.items() if item.person == JUNK]
    query, gallery = (
        [item for item in part if item.path not in copies and item.person != JUNK] for part in (query, gallery)
    )
    if labels or labelled:
        _check_cameras(query, gallery, labels or top)
    return Crops(
        top,
        [image for image in train if image not in copies],
        *_numbered(query, gallery),
        {
            'training': describe_odd(odd, top, copies),
            'test': [*notes, *describe_odd(odd_labelled, top, copies)],
        },
    )


class FolderDataset(data.ImageDataset):
    """Any folder of person crops as a data set of torchreid, registered as `folder`.

    To train on: every image in the tree, whatever its name, but those to test on; all with person and camera 0, as
    nothing is known of them. To test on: `read_crops` says how query and gallery are told. Without them
    the engines of this package leave out the test.

    Args:
        root: torchreid's argument, here the folder itself.
        path: the folder, if it is not `root`.
        labels: CSV file `path,pid,camid` of the images to test on.
        read: what reads the folder, `read_crops` or what remembers its result.
        kwargs: torchreid's other arguments. `combineall` changes nothing: images to test on stay out of training.

    Raises:
        UserError: if the folder or its labels cannot be used, or if it holds nothing to train on.

    Example:
        >>> datamanager = torchreid.data.ImageDataManager(root='my_crops', sources='folder')
        >>> labelled = functools.partial(paul_plugin.FolderDataset, path='my_crops', labels='labels.csv')
        >>> torchreid.data.register_image_dataset('my_crops', labelled)  # a name for the folder with its labels
    """

    def __init__(
        self,
        root: str = '',
        path: str = '',
        labels: str = '',
        read: Callable[[str, str], Crops] = read_crops,
        **kwargs,
    ) -> None:
        crops = read(path or root, labels)
        training = kwargs.get('mode', 'train') == 'train'
        if training and not crops.train:
            raise UserError(f'no image to train on in the folder {crops.folder}')
        # A data manager makes one data set to train on and others to test on: each tells its part.
        self.notes = [f'  folder: {printable(crops.folder)}', *crops.notes['training' if training else 'test']]
        train = [(image, 0, 0) for image in crops.train]
        super().__init__(*map(allow_empty, (train, crops.query, crops.gallery)), **kwargs)

    def combine_all(self) -> None:
        """Images to test on stay out of training."""

    def show_summary(self) -> None:
        super().show_summary()
        for line in self.notes:
            print(line)


def check_folder(path: str) -> str:
    """The absolute path of a folder of crops.

    Raises:
        UserError: if it is not there.
    """
    top = os.path.abspath(os.path.expanduser(path))
    if not path or not os.path.isdir(top):
        raise UserError(f'the folder of crops {show(path)} is not there: name a folder (folder.path in a config)')
    return top


def _read_labelled(top: str, labels: str) -> tuple[list[Labelled], list[Labelled], Odd, list[str]]:
    """The images of query, those of gallery, what else lies in their folders, and what there is to say of them.

    Raises:
        UserError: if labels are given twice, wrong or incomplete.
    """
    parts = [part for part in _PARTS if os.path.isdir(os.path.join(top, part))]
    if labels and parts:
        raise UserError(f'{top} has a folder {parts[0]}, and folder.labels names {labels}: take out one of the two')
    if len(parts) == 1:
        missing = next(part for part in _PARTS if part not in parts)
        raise UserError(f'{top} has a folder {parts[0]} but no folder {missing}: a test needs both, training neither')
    if labels:
        images = read_labels(labels, top)
        return images, images, defaultdict(list), []
    return _read_parts(top) if parts else ([], [], defaultdict(list), [])


def _read_parts(top: str) -> tuple[list[Labelled], list[Labelled], Odd, list[str]]:
    """As `_read_labelled`, of the folders query and gallery."""
    found, odd, notes = {}, defaultdict(list), []
    for part in _PARTS:
        found[part], others = find_images(os.path.join(top, part))
        for kind, files in others.items():
            odd[kind] += files
        if not found[part]:
            raise UserError(f'no image in {os.path.join(top, part)}: a test needs query and gallery, training neither')
    camera_of = {image: re.search(r'_c(\d+)', os.path.basename(image)) for images in found.values() for image in images}
    unknown = next((image for image, camera in camera_of.items() if camera is None), None)
    if unknown:
        notes = [f'  query is one camera and gallery another: {_describe(unknown, top, {})} names none (_c1, _c2, ...)']
    query, gallery = (
        [
            Labelled(image, _person(image, os.path.join(top, part)), part if unknown else str(int(camera_of[image][1])))
            for image in found[part]
        ]
        for part in _PARTS
    )
    return query, gallery, odd, notes


def _person(path: str, folder: str) -> str:
    """The person of an image by its path within query or gallery."""
    first, slash, _ = os.path.relpath(path, folder).partition(os.sep)
    person = first if slash else os.path.splitext(first)[0].partition('_')[0]
    if not person:
        raise UserError(f'{printable(path)} names no person before its first underscore: name it PERSON_...')
    return unicodedata.normalize('NFC', person)  # the same name can be spelt in two ways, by the system that wrote it


def read_labels(path: str, top: str) -> list[Labelled]:
    """The images that a CSV file lists.

    Args:
        path: UTF-8, with the header `path,pid,camid`; other columns are passed over.
        top: the folder that relative paths start from.

    Raises:
        UserError: if it cannot be read, or for the first bad line.
    """
    if not os.path.isfile(path):
        raise UserError(f'no file {path} (folder.labels)')
    items = {}
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = csv.DictReader(file, strict=True)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise UserError(
                    f'{path}, line 1: no column {missing[0]}: the first line must be {",".join(COLUMNS)}, '
                    f'got {show(",".join(rows.fieldnames or ()))}'
                )
            for row in rows:
                item = _labelled(row, top, f'{path}, line {rows.line_num}')
                if item.path in items:
                    raise UserError(f'{path}, line {rows.line_num}: {show(row["path"])} is listed twice')
                items[item.path] = item
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror} (folder.labels)') from None
    except UnicodeDecodeError:
        raise UserError(f'cannot read {path}: it is not UTF-8 text (folder.labels)') from None
    except csv.Error as error:
        raise UserError(f'{path}, line {rows.reader.line_num}: {error} (folder.labels)') from None
    return list(items.values())


def _labelled(row: dict[str | None, str | None], top: str, where: str) -> Labelled:
    """The image of a row."""
    if None in row or None in row.values():
        raise UserError(f'{where}: it has not as many fields as the first line')
    for column in COLUMNS:
        if not row[column].strip():
            raise UserError(f'{where}: {column} is empty')
    image = os.path.abspath(os.path.join(top, row['path']))
    if not os.path.isfile(image):
        raise UserError(f'{where}: no file {show(row["path"])} in the folder {top}')
    return Labelled(image, row['pid'].strip(), row['camid'].strip())


def _check_cameras(query: list[Labelled], gallery: list[Labelled], where: str) -> None:
    """Refuses labels by which no query has a true match: torchreid drops those of its own camera."""
    cameras = defaultdict(set)
    for item in gallery:
        cameras[item.person].add(item.camera)
    if not any(cameras[item.person] - {item.camera} for item in query):
        raise UserError(
            f'{where}: no person of query is in gallery under another camera, so there is nothing to measure: '
            'correct the names of persons and cameras, or take the labels out to train without a test'
        )


def _numbered(*parts: list[Labelled]) -> list[list[tuple[str, int, int]]]:
    """torchreid's items, persons and cameras numbered in the order of their names over all parts."""
    people, cameras = (
        {name: number for number, name in enumerate(sorted({item[field] for part in parts for item in part}))}
        for field in (1, 2)
    )
    return [[(item.path, people[item.person], cameras[item.camera]) for item in part] for part in parts]
