"""Camera centring outside of a run's test: the cameras' means of a folder, of a gallery, of a run's training images."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.cameras import cameras_by_name, natural, normal
from ..engines.centring import images_of_means, lone_in_words
from ..host.data import DataManager
from ..method.camera_means import CameraMeans
from ..method.camera_norms import CameraNorms
from ..method.unit import unit_length
from ..run.trained import Trained
from ..runtime.errors import UserError, nearest, printable
from .by_camera import described_items


class Centring(NamedTuple):
    """What a search takes off its descriptors.

    Attributes:
        means: of the gallery's cameras.
        cameras: those of the gallery's images.
        camera: that of the queries; None takes the mean over the cameras' means.
    """

    means: CameraMeans
    cameras: list[str]
    camera: str | None = None


def cameras_in(trained: Trained, paths: Sequence[str], top: str) -> list[str]:
    """The cameras of crops, told as the data set `folder` tells them: by `folder.camera`, or the number after `_c`.

    Args:
        trained: with the configuration that may hold the expression.
        paths: the crops.
        top: their folder.

    Raises:
        UserError: if they are not known of all, or if each has a single crop, of which there is no mean.
    """
    found = cameras_by_name(paths, top, trained.cfg.folder.camera)
    unknown = [path for path in paths if found[path] is None]
    if unknown:
        raise UserError(
            f'--centre-cameras: {len(unknown)} of {len(paths)} images in {printable(top)} do not tell their camera, '
            f'such as {printable(unknown[0])}: name it by --opts folder.camera, a regular expression, or by _c1, _c2, '
            '... in all names'
        )
    cameras = [found[path] for path in paths]
    if cameras and max(Counter(cameras).values()) == 1:
        raise UserError(
            f'--centre-cameras: a single image makes no mean, and no camera in {printable(top)} has more '
            f'({len(cameras)} images): leave it out, or correct folder.camera'
        )
    return cameras


def centred_blocks(read: Callable[[], Iterable[np.ndarray]], cameras: Sequence[str]) -> Iterator[np.ndarray]:
    """Descriptors without the mean of their camera, of length 1 again, read twice, a block at a time.

    Cameras with a single one are named in a warning.

    Args:
        read: gives (n, E) each, together N rows.
        cameras: N.
    """

    def pairs() -> Iterator[tuple[Tensor, Sequence[str]]]:
        start = 0
        for block in read():
            yield torch.from_numpy(block), cameras[start : start + len(block)]
            start += len(block)

    means = CameraMeans.of(pairs())
    _warn_of_lone(means)
    return (unit_length(means.centred(*pair)).numpy() for pair in pairs())


def _warn_of_lone(means: CameraMeans) -> None:
    if means.lone:
        names = [printable(name) for name in sorted(means.lone, key=natural)]
        print(f'warning: {lone_in_words(names, len(means.means), "image")}')


def centring_of(
    trained: Trained, gallery: tuple[Sequence[str], Tensor], top: str, camera: str | None = None
) -> Centring:
    """The centring of a search in a gallery; cameras with a single image are named in a warning.

    Args:
        trained: the model.
        gallery: as `read_gallery` gives it.
        top: the gallery's folder.
        camera: that of the queries, one of the gallery's; None where it is none of them, or not known.

    Raises:
        UserError: as `cameras_in`, or if `camera` is none of the gallery's.
    """
    paths, descriptors = gallery
    cameras = cameras_in(trained, paths, top)
    known = sorted(set(cameras), key=natural)
    if camera is not None and normal(camera) not in known:
        raise UserError(
            f'--camera {printable(camera)}: the gallery has no such camera{nearest(camera, known)}: '
            f'one of {", ".join(map(printable, known[:20]))}, or none for the mean over all'
        )
    means = CameraMeans.of([(descriptors, cameras)])
    _warn_of_lone(means)
    return Centring(means, cameras, None if camera is None else normal(camera))


def training_means(trained: Trained, datamanager: DataManager, norms: CameraNorms) -> CameraMeans:
    """The means that the test of a run takes off with `test.centre_cameras`, by the cameras' numbers.

    Args:
        trained: the model.
        datamanager: of its run.
        norms: by which it is described, of `training_norms`.
    """
    items = images_of_means(datamanager.train_loader.dataset.data, trained.cfg.train.seed)
    return CameraMeans.of([(described_items(trained, items, norms), [item[2] for item in items])])
