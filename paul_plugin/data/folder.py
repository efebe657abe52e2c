"""The data set `folder`: any tree of person crops, without labels; to test on, query/ and gallery/ or a CSV file."""

import os
from collections.abc import Callable
from typing import NamedTuple

from ..host.data import allow_empty, data
from ..runtime.errors import UserError, printable, show
from .cameras import cameras_in_words, cameras_of_training, why_doubtful
from .files import Odd, find_copies, find_images, odd_in_words
from .labels import JUNK, PARTS, check_cameras, find_labelled, numbered
from .labels_file import Labelled
from .looks import look_at, same_pictures
from .looks_told import told_contrast, told_own_pictures, without_near_copies

NAME = 'folder'


class Crops(NamedTuple):
    """What a folder holds.

    Attributes:
        folder: its absolute path.
        train: absolute paths of the training images, sorted.
        query, gallery: torchreid's items, (path, pid, camid).
        people, cameras: the user's names of them, by their numbers in these items and in `train_cameras`.
        train_cameras: the numbers of the training images' cameras; all 0 where these are unknown.
        notes: what was left out and what else there is to say, lines; for `training` and `test`.
        doubt: why nothing is trained by these cameras before somebody has named them; '' where nothing speaks against.
    """

    folder: str
    train: list[str]
    query: list[tuple[str, int, int]]
    gallery: list[tuple[str, int, int]]
    people: list[str]
    cameras: list[str]
    train_cameras: list[int]
    notes: dict[str, list[str]]
    doubt: str = ''


def read_crops(
    path: str, labels: str = '', camera: str = '', near_copies: str = 'one', outputs: tuple[str, ...] = (),
    k: int = 10, stretch: bool = False,
) -> Crops:  # fmt: skip
    """Finds the images of a folder, at any depth, and what is known of them.

    Query and gallery are the folders `query` and `gallery` in it, or both of them the images of a CSV file. In the
    folders the person is the name of the sub-folder (`query/anna/1.jpg`), in which there is none again; of an image
    that lies directly in them, the part of its name before the first underscore (Market-1501's names). The camera is
    what `camera` finds; without it, the number after `_c` in the image's name where all of them have one, otherwise
    query is one camera and gallery another. A CSV file has the header `path,pid,camid`; paths are relative to the
    folder, persons and cameras any text; torchreid drops a query's own image from its gallery. Images of person `-1`
    are left out.

    The cameras of the training images are told by `camera`, by the rows of the CSV file that have no person, or by
    the numbers after `_c`; if not all images have one, they are unknown.

    Hidden files (a leading dot), files that are no images, what runs have written, and copies (the same bytes as an
    image before it: query comes first, then gallery, then the rest by path) are left out, and so are training images
    that show the same picture as one to test on, in another format, quality or size. Linked folders are followed, each
    folder once.

    Args:
        path: the folder.
        labels: the CSV file, if there is one.
        camera: a regular expression with one group, the camera's name, as in `cameras_by_name`.
        near_copies: `one` training image stands for those of its camera that nearly equal it, or `keep` all.
        outputs: folders that a run writes to.
        k: neighbours in PEDAL, for which a camera that nobody has named needs crops.
        stretch: whether grey images of 16 bits are stretched.

    Raises:
        UserError: if there is no such folder, if labels or cameras are wrong or incomplete, or leave nothing to
            measure, or if most pictures have no contrast.

    Example:
        >>> read_crops('my_crops').train
        ['/data/my_crops/monday/1.jpg', '/data/my_crops/tuesday/1.jpg']
    """
    top, labels = check_folder(path), os.path.expanduser(labels)
    named = _read_names(top, labels, camera, outputs)
    train, camera_of, odd = named.train, named.cameras, named.odd
    seen, doubt = _told_cameras(named, top, k)
    looks = look_at([*named.tested, *train], stretch)  # the long work: what names alone can refuse is refused
    saved_anew = {image: first for first, image in same_pictures(looks, named.tested, train)}
    odd['copy of another image, saved anew'] = list(saved_anew)
    train = [image for image in train if image not in saved_anew]
    seen += told_contrast(looks, train, top, stretch)
    train, lines = without_near_copies(looks, train, camera_of, top, near_copies)
    test = [*named.notes, *told_own_pictures(looks, named.query, named.gallery, top)]
    test += told_contrast(looks, named.tested, top, stretch)
    notes = {
        part: [*told, *odd_in_words(of, top, {**named.copies, **saved_anew})]
        for part, told, of in (('training', [*seen, *lines], odd), ('test', test, named.odd_labelled))
    }
    known = {image: camera_of[image] for image in train} if camera_of else {}
    items, people, numbers = numbered(known, named.query, named.gallery)
    of_train = [numbers[known[image]] if known else 0 for image in train]
    return Crops(top, train, *items, people, list(numbers), of_train, notes, doubt)


class _Names(NamedTuple):
    """What the names of a folder's files and its labels tell, before a picture is looked at.

    Attributes:
        train, tested: paths of the images to train on, and of those to test on, junk among them; without copies.
        query, gallery: those to test on, without junk.
        cameras: of the training images, image -> name; empty where they are unknown.
        guessed: whether nobody has named these.
        copies: files with the same bytes as one before them, and that one.
        odd, odd_labelled: what else lies there, of either part.
        notes: what there is to say of those to test on.
    """

    train: list[str]
    tested: list[str]
    query: list[Labelled]
    gallery: list[Labelled]
    cameras: dict[str, str]
    guessed: bool
    copies: dict[str, str]
    odd: Odd
    odd_labelled: Odd
    notes: list[str]


def _read_names(top: str, labels: str, camera: str, outputs: tuple[str, ...]) -> _Names:
    """Finds the files of a folder, and who is on them by their names or the CSV file."""
    query, gallery, odd_labelled, notes, listed = find_labelled(top, labels, camera, outputs)
    apart = [os.path.abspath(labels)] if labels else [os.path.join(top, part) for part in PARTS if query]
    train, odd = find_images(top, apart, outputs)
    labelled = {item.path: item for item in (*query, *gallery)}
    train = [image for image in train if image not in labelled]
    copies = find_copies([*labelled, *train])
    for image in copies:
        (odd_labelled if image in labelled else odd)['copy of another image'].append(image)
    odd_labelled[f'junk, person {JUNK}'] = [image for image, item in labelled.items() if item.person == JUNK]
    query, gallery = (
        [item for item in part if item.path not in copies and item.person != JUNK] for part in (query, gallery)
    )
    if labelled or (labels and not listed):
        check_cameras(query, gallery, top, labels, camera)
    tested, train = ([image for image in part if image not in copies] for part in (labelled, train))
    cameras = cameras_of_training(train, top, camera, listed, labels)
    return _Names(
        train, tested, query, gallery, cameras, not (camera or listed), copies, odd, odd_labelled, notes
    )


def _told_cameras(named: _Names, top: str, k: int) -> tuple[list[str], str]:
    """What there is to say of the training images' cameras, lines, and why they must be named before any training."""
    lines = cameras_in_words(named.cameras, top) if named.train else []
    doubt, ask = why_doubtful(named.cameras, top, k) if named.guessed else ('', False)
    return (lines, doubt) if ask else ([*lines, *([f'  a guess: {doubt}'] if doubt else [])], '')


class FolderDataset(data.ImageDataset):
    """Any folder of person crops as a data set of torchreid, registered as `folder`.

    To train on: every image in the tree, whatever its name, but those to test on; all with person 0, as nothing is
    known of who they show. To test on: `read_crops` says how query, gallery and cameras are told. Without them the
    engines of this package leave out the test.

    Args:
        root: torchreid's argument, here the folder itself.
        path: the folder, if it is not `root`.
        labels: CSV file `path,pid,camid` of the images to test on.
        camera: regular expression that finds the cameras' names in the paths.
        near_copies: of `read_crops`.
        read: what reads the folder, `read_crops` or what remembers its result.
        test_only: nothing is trained, and a folder without training images will do.
        kwargs: torchreid's other arguments. `combineall` changes nothing: images to test on stay out of training.

    Attributes:
        people, cameras: the user's names of them, by their numbers in torchreid's items.

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
        camera: str = '',
        near_copies: str = 'one',
        read: Callable[[str, str, str, str], Crops] = read_crops,
        test_only: bool = False,
        **kwargs,
    ) -> None:
        if near_copies not in ('one', 'keep'):
            raise UserError(f'folder.near_copies = {show(near_copies)}: must be one or keep')
        crops = read(path or root, labels, camera, near_copies)
        training = kwargs.get('mode', 'train') == 'train'
        if training and not crops.train and not (test_only and crops.query):
            raise UserError(f'no image to train on in the folder {printable(crops.folder)}')
        if training and not test_only and crops.doubt:
            raise UserError(crops.doubt)
        # A data manager makes one data set to train on and others to test on: each tells its part.
        self.notes = [f'  folder: {printable(crops.folder)}', *crops.notes['training' if training else 'test']]
        self.people, self.cameras = crops.people, crops.cameras
        train = [(image, 0, number) for image, number in zip(crops.train, crops.train_cameras, strict=True)]
        # torchreid makes a loader of training images for a test, too, and fails at none: queries stand in.
        train = train or [(item[0], 0, 0) for item in crops.query]
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
        UserError: if it is not there, or no folder.
    """
    top = os.path.abspath(os.path.expanduser(path))
    if path and os.path.exists(top) and not os.path.isdir(top):
        raise UserError(f'{show(path)} is no folder of crops but a file: name a folder (folder.path in a config)')
    if not path or not os.path.isdir(top):
        raise UserError(f'the folder of crops {show(path)} is not there: name a folder (folder.path in a config)')
    return top
