"""torchreid's data sets and data managers: what is private, missing or wrong in them."""

import functools
import glob
import hashlib
import io
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchreid import data
from torchvision.transforms import Compose, ToTensor

from ..runtime.errors import UserError, nearest, printable
from ..runtime.files import stat_digest
from . import module_of


@runtime_checkable
class DataManager(Protocol):
    """What is used here of torchreid's data managers, of images and of videos, which share no public type.

    Attributes:
        train_loader: of the training images; its `dataset.data` holds the items, (path or paths, pid, camid, dsetid).
        test_loader: target -> `query` or `gallery` -> its loader.
        test_dataset: target -> `query` or `gallery` -> its items.
        num_train_pids: how many people the training images show.
        transform_te: PIL image -> (3, H, W), for test images.
    """

    train_loader: DataLoader
    test_loader: dict[str, dict[str, DataLoader]]
    test_dataset: dict[str, dict[str, list[tuple]]]
    transform_te: Callable[[Image.Image], Tensor]

    @property
    def num_train_pids(self) -> int: ...


def _datasets(kind: str = 'image') -> dict[str, type]:
    """torchreid lists its data sets nowhere but in two private tables."""
    return module_of(data.register_image_dataset).__dict__[f'__{kind}_datasets']


def register_dataset(name: str, dataset: type) -> None:
    """Adds an image data set to torchreid's, or puts it in the place of the one that it was given this name before."""
    _datasets()[name] = dataset


def dataset_class(name: str) -> type:
    """torchreid's class of a registered image data set."""
    return _datasets()[name]


def check_dataset(name: str, root: str, kind: str = 'image') -> None:
    """Refuses an unknown or missing data set; torchreid would make an empty folder and try a dead address.

    Args:
        name: of an `image` or `video` (`kind`) data set.
        root: the folder that holds the data sets' folders.

    Raises:
        UserError: naming the nearest data set, or the folder that is expected.
    """
    known = _datasets(kind)
    if name not in known:
        raise UserError(f'unknown {kind} data set {name!r}{nearest(name, known)}: one of {", ".join(known)}')
    folder = Path(root, getattr(known[name], 'dataset_dir', None) or '').expanduser()
    if not folder.is_dir():
        raise UserError(
            f'data set {name!r} is not there: expected the folder {printable(folder)} '
            '(--root names the folder that holds the data sets)'
        )


def check_root(name: str, root: str, kind: str = 'image') -> None:
    """Refuses a folder whose own path torchreid would take for a part of its images' names.

    It finds files by `glob`, to which a path with brackets is a pattern, and searches the whole path, not the file's
    name, for person and camera (`7_c2`), so that all images show one person.

    Args:
        name: of a data set.
        root, kind: as for `check_dataset`.

    Raises:
        UserError: naming the part of the path, and the way out.
    """
    dataset = _datasets(kind).get(name)  # None: torchreid itself refuses it
    folder = str(Path(root, getattr(dataset, 'dataset_dir', None) or '').expanduser().absolute())
    bases = getattr(dataset, '__mro__', ())  # none of a function that a user has registered
    modules = [module_of(base) for base in bases if base.__module__.startswith('torchreid.')]
    used = {name for module in modules for name in ('glob', 're') if hasattr(module, name)}
    label = re.search(r'[-\d]+_c\d', folder)
    way_out = 'rename the folder, or name it by a link without that'
    if 'glob' in used and glob.escape(folder) != folder:
        raise UserError(f'{name}: torchreid takes *, ? and [ in {printable(folder)} for a pattern: {way_out}')
    if 're' in used and label:
        raise UserError(
            f'{name}: torchreid takes {label[0]!r} in the path {printable(folder)} for person and camera of every '
            f'image: {way_out}'
        )


def reads_people(datamanager: DataManager) -> bool:
    """Whether batches for training are made by who is on the images, as torchreid's RandomIdentitySampler does it.

    Its other samplers read nothing, the camera (RandomDomainSampler) or the data set (RandomDatasetSampler).
    """
    samplers = module_of(module_of(data.ImageDataManager).build_train_sampler)
    return isinstance(datamanager.train_loader.sampler, samplers.RandomIdentitySampler)


@contextmanager
def dataset_made_by(name: str, make: Callable[..., data.ImageDataset]) -> Iterator[None]:
    """Within it a registered image data set is made by another function; data managers pass only fixed arguments."""
    before = _datasets()[name]
    _datasets()[name] = make
    try:
        yield
    finally:
        _datasets()[name] = before


class _NoImages(list):
    """An empty list whose first item can be looked at."""

    def __getitem__(self, index: int) -> tuple[None, ...]:
        return (None,) * 4


def allow_empty(items: list[tuple]) -> list[tuple]:
    """Training, query or gallery images for torchreid's Dataset, which fails at an empty list.

    It takes the first item of each to see whether a fourth field, the data set's number, is there already.
    """
    return items or _NoImages()


def leave_out_untestable(datamanager: DataManager) -> None:
    """Takes out of a data manager the targets without images to test on, at which torchreid's test fails."""
    empty = [name for name, parts in datamanager.test_loader.items() if not len(parts['query'].dataset)]
    for name in empty:
        del datamanager.test_loader[name], datamanager.test_dataset[name]
    if empty:
        rest = '' if datamanager.test_loader else ': training runs without tests'
        print(f'No test on {", ".join(empty)}, which has no query and gallery images{rest}')


def register_reader(read_image: Callable[[str], Image.Image]) -> None:
    """Gives torchreid's data sets a reader of images: theirs tries a damaged file again and again, for ever.

    The reader is a name of torchreid's module, which a loader's worker that is not forked imports as it was. So each
    of torchreid's data sets takes this package along: to unpickle one is to import and so to register it.
    """
    module_of(data.ImageDataset).read_image = read_image
    data.Dataset.__reduce__ = _reduce


def _reduce(dataset: data.Dataset) -> tuple:
    return _new, (type(dataset),), dataset.__dict__


def _new(kind: type) -> data.Dataset:
    """Stands in a pickle for the data set's class, so that who reads it imports this module."""
    return kind.__new__(kind)


def make_downloads_safe() -> None:
    """torchreid extracts a downloaded tar file as it is: an entry `../../x` would be written outside its folder."""
    download = data.Dataset.download_dataset
    if hasattr(download, '__wrapped__'):
        return

    @functools.wraps(download)
    def download_dataset(self, dataset_dir, dataset_url):
        if Path(dataset_dir).exists() or dataset_url is None:  # nothing will be downloaded
            return download(self, dataset_dir, dataset_url)
        if not hasattr(tarfile, 'data_filter'):  # Debian 12's Python 3.11.2
            raise UserError(
                f'{type(self).__name__} is not downloaded: this Python cannot extract an archive safely (3.11.4 can): '
                f'download {dataset_url} by hand and extract it in {dataset_dir}'
            )
        before = tarfile.TarFile.extraction_filter
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
        try:
            return download(self, dataset_dir, dataset_url)
        finally:
            tarfile.TarFile.extraction_filter = before

    data.Dataset.download_dataset = download_dataset


# Of the transforms that data managers are taught: name -> what makes the training transform of the steps before and
# after the PIL image becomes a tensor.
_transforms: dict[str, Callable[[Compose, Compose], Callable]] = {}


def register_transform(name: str, make: Callable[[Compose, Compose], Callable]) -> None:
    """Teaches torchreid's data managers a name among `transforms`.

    torchreid has no registry of transforms: `build_transforms` skips unknown names, and the data managers call it as
    a name of their own module, so that is where it is wrapped.

    Args:
        name: in small letters.
        make: (PIL image -> PIL image, PIL image -> tensor) -> the transform of a training image.
    """
    _transforms[name] = make
    manager = module_of(data.ImageDataManager)
    torchreid_build_transforms = getattr(manager.build_transforms, '__wrapped__', manager.build_transforms)

    @functools.wraps(torchreid_build_transforms)
    def build_transforms(height, width, transforms='random_flip', **kwargs):
        train, test = torchreid_build_transforms(height, width, transforms=transforms, **kwargs)
        names = [transforms] if isinstance(transforms, str) else transforms or []
        for known, make in _transforms.items():
            if known in [name.lower() for name in names]:
                print(f'+ {known.replace("_", " ")}')
                train = make(*_cut(train))
        return train, test

    manager.build_transforms = build_transforms


@contextmanager
def transform_made_by(name: str, make: Callable[[Compose, Compose], Callable]) -> Iterator[None]:
    """Within it a registered transform is made by another function; data managers pass no options to transforms."""
    before = _transforms[name]
    _transforms[name] = make
    try:
        yield
    finally:
        _transforms[name] = before


def _cut(transform: Compose) -> tuple[Compose, Compose]:
    """Cuts torchreid's list of transforms where the PIL image becomes a tensor."""
    steps = transform.transforms
    cut = next(i for i, step in enumerate(steps) if isinstance(step, ToTensor))
    return Compose(steps[:cut]), Compose(steps[cut:])


def test_transform(height: int, width: int, mean: Sequence[float], std: Sequence[float]) -> Compose:
    """torchreid's transform of test images, PIL image -> (3, height, width), without what its function prints."""
    build_transforms = module_of(data.ImageDataManager).build_transforms
    with redirect_stdout(io.StringIO()):
        return build_transforms(height, width, transforms=[], norm_mean=list(mean), norm_std=list(std))[1]


def test_stages(datamanager: DataManager) -> tuple[Compose, Compose]:
    """A data manager's transform of test images in two: PIL image -> PIL image of the size, -> (3, height, width)."""
    return _cut(datamanager.transform_te)


def begin_transforms(datamanager: DataManager, stage: Callable[[Image.Image], Image.Image]) -> None:
    """Puts a stage before all others of a data manager's transforms, PIL image -> PIL image.

    torchreid's data sets hold the very lists of transforms that the data manager made; they are changed in place.
    """
    train = datamanager.train_loader.dataset.transform
    for steps in (getattr(train, 'image_stage', train), datamanager.transform_te):
        steps.transforms.insert(0, stage)


def training_images(datamanager: DataManager) -> list[str]:
    """Paths of the training images, in the data set's order."""
    return [item[0] for item in datamanager.train_loader.dataset.data]


def items_of(datamanager: DataManager) -> dict[str, list[tuple]]:
    """torchreid's items, (path or paths, pid, camid, dsetid), by what they are for."""
    parts = {'train': datamanager.train_loader.dataset.data}
    for loaders in datamanager.test_loader.values():
        for part, loader in loaders.items():
            parts[part] = parts.get(part, []) + loader.dataset.data
    return parts


def images_digest(datamanager: DataManager) -> str:
    """Tells a data manager's training images by number, names and order."""
    names = [repr(item[0]).rpartition('/')[2] for item in datamanager.train_loader.dataset.data]
    return hashlib.sha256('\n'.join(names).encode()).hexdigest()


def files_digest(datamanager: DataManager) -> str:
    """Tells a data manager's training images by the names, sizes and times of their files as well."""
    items = [item[0] for item in datamanager.train_loader.dataset.data]
    return stat_digest(path for paths in items for path in ([paths] if isinstance(paths, str) else paths))


def leave_out(datamanager: DataManager, bad: Container[str], **sampler_options) -> None:
    """Takes training images out of a data manager; torchreid's samplers keep indices, so it gets a new one.

    Args:
        datamanager: torchreid's ImageDataManager.
        bad: their paths.
        sampler_options: arguments of torchreid's `build_train_sampler`.
    """
    old = datamanager.train_loader
    old.dataset.data[:] = [item for item in old.dataset.data if item[0] not in bad]
    build_train_sampler = module_of(data.ImageDataManager).build_train_sampler
    datamanager.train_loader = DataLoader(
        old.dataset,
        sampler=build_train_sampler(old.dataset.data, batch_size=old.batch_size, **sampler_options),
        batch_size=old.batch_size,
        num_workers=old.num_workers,
        pin_memory=old.pin_memory,
        drop_last=old.drop_last,
    )


def sort_test_images(datamanager: DataManager) -> None:
    """The same for query and gallery, which several processes share by their places: other disks, other places."""
    for loaders in datamanager.test_loader.values():
        for loader in loaders.values():
            loader.dataset.data.sort(key=lambda item: item[0])


def sort_training_images(datamanager: DataManager, by_camera: bool = False) -> None:
    """Orders the training images by path: torchreid takes them as `glob` finds them, other on every disk.

    Args:
        datamanager: torchreid's.
        by_camera: by camera first.
    """
    datamanager.train_loader.dataset.data.sort(key=lambda item: (item[2] if by_camera else 0, item[0]))


def training_cameras(datamanager: DataManager) -> list[int]:
    """The camera's number of each training image, in the data set's order."""
    return [item[2] for item in datamanager.train_loader.dataset.data]


def images_of_cameras(datamanager: DataManager) -> list[int]:
    """How many training images each camera has, in the order of the cameras' numbers."""
    count = Counter(training_cameras(datamanager))
    return [count[camera] for camera in sorted(count)]
