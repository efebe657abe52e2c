"""Everything that touches a private name, a version difference or a bug of torchreid; nothing else does.

Both layouts are reached by attribute: the package from PyPI (0.2.5, modules under `torchreid.reid`) and the upstream
repository (1.4.0, `torchreid.models`, ...).
"""

import functools
import io
import os
import sys
import tarfile
import traceback
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, ToTensor

with warnings.catch_warnings():
    # The PyPI package has no Cython evaluation and says so at every import; its Python evaluation gives the same.
    warnings.filterwarnings('ignore', message='Cython evaluation')
    from torchreid import data, engine, metrics, models, utils

from . import processes
from .errors import UserError, nearest
from .fast_rank import fast_rank
from .images import read_image
from .patchnet import PatchNet
from .surrogate import PairTransform, SurrogatePositive


class PretrainedWeightsWarning(UserWarning):
    """ImageNet weights could not be had; `tools/main.py` turns it into an error."""


def _module(thing) -> object:
    """The module that defines a torchreid object, under either layout."""
    return sys.modules[thing.__module__]


# ---- models --------------------------------------------------------------------------------------------------------

# Our models: registered name -> torchreid's backbone. Any torchreid model with `featuremaps` will do.
BACKBONES = {
    'paul': 'resnet50',
    'paul_resnet18': 'resnet18',
    'paul_osnet_x1_0': 'osnet_x1_0',
    'paul_osnet_x0_25': 'osnet_x0_25',
}


def _model_factory() -> dict[str, Callable]:
    """torchreid has `register_image_dataset` but no way to register a model: its table is a private name."""
    return models.__dict__['__model_factory']


def available_models() -> list[str]:
    return list(_model_factory())


def weights_cache(name: str) -> str:
    """Where torchreid looks for a backbone's ImageNet weights before it fetches them."""
    backbone = BACKBONES.get(name, name)
    if backbone.startswith('osnet'):
        cache = os.path.join(os.getenv('XDG_CACHE_HOME', '~/.cache'), 'torch')
        home = os.path.expanduser(os.getenv('TORCH_HOME', cache))
        return os.path.join(home, 'checkpoints', f'{backbone}_imagenet.pth')
    return os.path.join(torch.hub.get_dir(), 'checkpoints')


def _or_random_weights(name: str, factory: Callable[..., nn.Module], pretrained: bool) -> nn.Module:
    """torchreid's model; with a warning from random weights, where ImageNet's are wanted and cannot be had."""
    try:
        return factory(pretrained=pretrained)
    except Exception as error:  # torchreid downloads by urllib and by gdown: each fails in its own ways
        if not pretrained:
            raise
        reason = str(error).strip().splitlines()
        warnings.warn(
            f'no ImageNet weights for {name} ({reason[0] if reason else type(error).__name__}): '
            'it starts from random weights',
            PretrainedWeightsWarning,
            stacklevel=3,
        )
        return factory(pretrained=False)


def build_model(name: str, pretrained: bool, **options) -> nn.Module:
    """Any model by name. Where it finds no ImageNet weights, it warns, as ours do and torchreid's do not."""
    if name in BACKBONES:
        return models.build_model(name, pretrained=pretrained, **options)
    return _or_random_weights(name, functools.partial(models.build_model, name, **options), pretrained)


def build_backbone(name: str, pretrained: bool = True) -> nn.Module:
    """torchreid's model without its heads, last stride 1: a feature map of 1/16 of the image's size."""
    factory = functools.partial(_model_factory()[name], num_classes=1, loss='softmax', use_gpu=False)
    net = _or_random_weights(name, factory, pretrained)
    # torchreid's resnet functions fix last_stride=2 and refuse another, but the stride is an attribute of two layers.
    if hasattr(net, 'layer4'):
        for layer in net.layer4.modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
    net.fc = net.classifier = None
    return net


def _feature_channels(backbone: nn.Module) -> int:
    """C of the feature map: torchreid's models keep no such number once `fc` changed `feature_dim`."""
    training = backbone.training
    with torch.no_grad():
        channels = backbone.eval().featuremaps(torch.zeros(1, 3, 64, 64)).shape[1]
    backbone.train(training)
    return channels


def build_patchnet(
    backbone_name: str,
    num_classes: int = 1,
    loss: str = 'softmax',
    pretrained: bool = True,
    use_gpu: bool = True,
    **options,
) -> PatchNet:
    """Builds PatchNet on one of torchreid's backbones.

    Args:
        backbone_name: a key of torchreid's model table.
        num_classes, loss, pretrained, use_gpu: as in torchreid's `build_model`.
        options: further arguments of PatchNet (`num_patches`, `dim`, `patch_source`, ...).
    """
    backbone = build_backbone(backbone_name, pretrained)
    return PatchNet(backbone, _feature_channels(backbone), num_classes, loss, **options)


def register_models() -> None:
    """Adds our models to torchreid's table and lets `build_model` take them without classes and with our options."""
    for name, backbone in BACKBONES.items():
        _model_factory()[name] = functools.partial(build_patchnet, backbone)
    torchreid_build_model = models.build_model

    @functools.wraps(torchreid_build_model)
    def build_model(name, *args, **kwargs):
        if name in BACKBONES:
            # torchreid's own function has no default for num_classes and passes no further argument on.
            return _model_factory()[name](*args, **kwargs)
        return torchreid_build_model(name, *args, **kwargs)

    models.build_model = build_model


# ---- data ----------------------------------------------------------------------------------------------------------


def _datasets(kind: str = 'image') -> dict[str, type]:
    """torchreid lists its data sets nowhere but in two private tables."""
    return _module(data.register_image_dataset).__dict__[f'__{kind}_datasets']


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
            f'data set {name!r} is not there: expected the folder {folder} '
            '(--root names the folder that holds the data sets)'
        )


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


def leave_out_untestable(datamanager) -> None:
    """Takes out of a data manager the targets without images to test on, at which torchreid's test fails."""
    empty = [name for name, parts in datamanager.test_loader.items() if not len(parts['query'].dataset)]
    for name in empty:
        del datamanager.test_loader[name], datamanager.test_dataset[name]
    if empty:
        rest = '' if datamanager.test_loader else ': training runs without tests'
        print(f'No test on {", ".join(empty)}, which has no query and gallery images{rest}')


def why_unreadable(error: Exception) -> str:
    """Why torchreid could not read a data set; its errors do not name the file or the empty part, its variables do."""
    reason = f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for variables in (frame.f_locals for frame in reversed(frames)):
        for name in ('img_path', 'img_name'):
            if isinstance(variables.get(name), str):
                return f'{variables[name]}: {reason}'
        parts = {part: variables.get(part) for part in ('train', 'query', 'gallery')}
        empty = [part for part, items in parts.items() if isinstance(items, list) and not items]
        if empty:
            return f'no {" and no ".join(empty)} images'
    return reason


def register_reader() -> None:
    """Gives torchreid's data sets our `read_image`: theirs tries a damaged file again and again, for ever."""
    _module(data.ImageDataset).read_image = read_image


def make_downloads_safe() -> None:
    """torchreid extracts a downloaded tar file as it is: an entry `../../x` would be written outside its folder."""
    download = data.Dataset.download_dataset
    if hasattr(download, '__wrapped__'):
        return

    @functools.wraps(download)
    def download_dataset(self, dataset_dir, dataset_url):
        before = tarfile.TarFile.extraction_filter
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
        try:
            return download(self, dataset_dir, dataset_url)
        finally:
            tarfile.TarFile.extraction_filter = before

    data.Dataset.download_dataset = download_dataset


def register_transform(make_surrogate: Callable[[], Callable] = SurrogatePositive) -> None:
    """Teaches torchreid's data managers the name `surrogate_positive`.

    torchreid has no registry of transforms: `build_transforms` skips unknown names, and the data managers call it as
    a name of their own module, so that is where it is wrapped.
    """
    manager = _module(data.ImageDataManager)
    torchreid_build_transforms = getattr(manager.build_transforms, '__wrapped__', manager.build_transforms)

    @functools.wraps(torchreid_build_transforms)
    def build_transforms(height, width, transforms='random_flip', **kwargs):
        train, test = torchreid_build_transforms(height, width, transforms=transforms, **kwargs)
        names = [transforms] if isinstance(transforms, str) else transforms or []
        if 'surrogate_positive' in [name.lower() for name in names]:
            print('+ surrogate positive')
            train = _pair(train, make_surrogate())
        return train, test

    manager.build_transforms = build_transforms


def _pair(transform: Compose, surrogate: Callable) -> PairTransform:
    """Cuts torchreid's list of transforms where the PIL image becomes a tensor."""
    steps = transform.transforms
    cut = next(i for i, step in enumerate(steps) if isinstance(step, ToTensor))
    return PairTransform(Compose(steps[:cut]), Compose(steps[cut:]), surrogate)


def test_transform(height: int, width: int, mean: Sequence[float], std: Sequence[float]) -> Compose:
    """torchreid's transform of test images, PIL image -> (3, height, width), without what its function prints."""
    build_transforms = _module(data.ImageDataManager).build_transforms
    with redirect_stdout(io.StringIO()):
        return build_transforms(height, width, transforms=[], norm_mean=list(mean), norm_std=list(std))[1]


def gives_surrogates(datamanager) -> bool:
    return isinstance(datamanager.train_loader.dataset.transform, PairTransform)


def training_images(datamanager) -> list[str]:
    """Paths of the training images, in the data set's order."""
    return [item[0] for item in datamanager.train_loader.dataset.data]


def items_of(datamanager) -> dict[str, list[tuple]]:
    """torchreid's items, (path or paths, pid, camid, dsetid), by what they are for."""
    parts = {'train': datamanager.train_loader.dataset.data}
    for loaders in datamanager.test_loader.values():
        for part, loader in loaders.items():
            parts[part] = parts.get(part, []) + loader.dataset.data
    return parts


def leave_out(datamanager, bad: Container[str], **sampler_options) -> None:
    """Takes training images out of a data manager; torchreid's samplers keep indices, so it gets a new one.

    Args:
        datamanager: torchreid's ImageDataManager.
        bad: their paths.
        sampler_options: arguments of torchreid's `build_train_sampler`.
    """
    old = datamanager.train_loader
    old.dataset.data[:] = [item for item in old.dataset.data if item[0] not in bad]
    build_train_sampler = _module(data.ImageDataManager).build_train_sampler
    datamanager.train_loader = DataLoader(
        old.dataset,
        sampler=build_train_sampler(old.dataset.data, batch_size=old.batch_size, **sampler_options),
        batch_size=old.batch_size,
        num_workers=old.num_workers,
        pin_memory=old.pin_memory,
        drop_last=old.drop_last,
    )


def sort_training_images(datamanager) -> None:
    """Orders the training images by path: torchreid takes them as `glob` finds them, other on every disk."""
    datamanager.train_loader.dataset.data.sort(key=lambda item: item[0])


# ---- engine --------------------------------------------------------------------------------------------------------


def unwrap(model: nn.Module) -> nn.Module:
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel
    return model.module if isinstance(model, wrappers) else model


class HostFixes:
    """Mixin for torchreid's engines: what their base class gets wrong or cannot be told. Put it first."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        leave_out_untestable(self.datamanager)

    def test(self, *args, **kwargs) -> float:
        """torchreid's test of no data set at all fails when it returns the last one's Rank-1."""
        return super().test(*args, **kwargs) if self.test_loader else 0.0

    def frozen(self) -> list[nn.Module]:
        """Modules whose weights stay as they are during training."""
        return []

    def two_stepped_transfer_learning(self, *args, **kwargs):
        """torchreid opens every layer at the start of every epoch, a frozen one too.

        A part of PatchNet whose learning rate is 0 stays as it is, and costs no gradients.
        """
        super().two_stepped_transfer_learning(*args, **kwargs)
        for module in self.frozen():
            module.requires_grad_(False)
        for group in self.optimizer.param_groups:
            if 'part' in group and group['lr'] == 0:
                for parameter in group['params']:
                    parameter.requires_grad_(False)


def supervised_engine(kind: str, loss: str) -> type:
    """torchreid's engine for `image` or `video` and `softmax` or `triplet`."""
    return getattr(engine, f'{kind.title()}{loss.title()}Engine')


def register_engine(engine_class: type) -> None:
    setattr(engine, engine_class.__name__, engine_class)


@contextmanager
def recorded_results(
    fast: bool = False, ranked: Callable[[int, np.ndarray], None] = lambda *_: None
) -> Iterator[list[dict[str, float]]]:
    """Collects what torchreid's evaluation measures; `Engine.test` returns the last data set's Rank-1 only.

    Args:
        fast: rank by `fast_rank`, the numbers of torchreid's Python evaluation in a fraction of its time.
        ranked: is called by the first process before a data set is evaluated, with its number and its distances (Q, G).

    Yields:
        A list that grows by `{'mAP', 'rank1', 'rank5', 'rank10'}`, fractions, a test data set.
    """
    results = []
    evaluate_rank = metrics.evaluate_rank

    def evaluate(*args, use_metric_cuhk03=False, **options):
        if use_metric_cuhk03:  # draws from the gallery at random, which is left to torchreid
            return evaluate_rank(*args, use_metric_cuhk03=True, **options)
        if not fast:
            # torchreid cannot stack curves that end before rank 50, one earlier than another.
            with suppress(ValueError):
                return evaluate_rank(*args, **options)
        options.pop('use_cython', None)
        return fast_rank(*args, **options)

    @functools.wraps(evaluate_rank)
    def record(*args, **kwargs):
        if processes.is_first():
            ranked(len(results), args[0])
        # One process ranks for all.
        cmc, mean_ap = processes.from_first(evaluate(*args, **kwargs) if processes.is_first() else None)
        # With fewer gallery images torchreid's curve is shorter, and its report fails: a curve stays at its end.
        cmc = np.pad(cmc, (0, max(0, 50 - len(cmc))), mode='edge')
        results.append({'mAP': float(mean_ap), **{f'rank{rank}': float(cmc[rank - 1]) for rank in (1, 5, 10)}})
        return cmc, mean_ap

    metrics.evaluate_rank = record
    try:
        yield results
    finally:
        metrics.evaluate_rank = evaluate_rank


class _Log(utils.Logger):
    """torchreid's Logger closes the console with its file, when it is closed and when it is forgotten."""

    def close(self):
        if self.file is not None:  # it could not be opened
            self.file.close()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Writes what is printed to a file as well, by torchreid's Logger.

    Raises:
        UserError: if the file cannot be made.
    """
    console = sys.stdout
    try:
        sys.stdout = log = _Log(str(path))
    except OSError as error:
        raise UserError(
            f'cannot write the log into the folder {path.parent} ({error.strerror}): choose another data.save_dir'
        ) from None
    try:
        yield
    finally:
        sys.stdout = console
        log.close()


set_random_seed = utils.set_random_seed
