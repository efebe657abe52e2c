"""Finds the images of a gallery that are most like a given one."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torchreid
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..data.descriptors import describe
from ..data.files import find_images
from ..data.folder import check_folder
from ..data.images import check_images, describe_bad
from ..figures.ranking import Ranked, draw_ranking
from ..run.trained import Trained
from ..runtime.errors import UserError
from .descriptor_file import FORMATS, read_descriptors, read_meta
from .pca import reduce_dimension


def descriptors_of(trained: Trained, paths: Sequence[str]) -> Tensor:
    """Descriptors of images, (N, E), on the CPU; normalised if the run's test does so."""
    cfg = trained.cfg
    batches = describe(trained.model, paths, trained.transform(), cfg.test.batch_size, cfg.data.workers)
    total = -(-len(paths) // cfg.test.batch_size)
    return _as_tested(trained, torch.cat(list(tqdm(batches, 'Describing images', total, delay=2, leave=False))))


def _as_tested(trained: Trained, descriptors: Tensor) -> Tensor:
    return F.normalize(descriptors, dim=1) if trained.cfg.test.normalize_feature else descriptors


def distances_of(trained: Trained, queries: Sequence[str], gallery: Tensor) -> Tensor:
    """Distances of images from descriptors (G, E), by the metric of the run's test: (Q, G)."""
    return torchreid.metrics.compute_distance_matrix(
        descriptors_of(trained, queries), gallery, trained.cfg.test.dist_metric
    )


def model_for(trained: Trained, gallery: str | Path) -> Trained:
    """The model whose descriptors are compared with a gallery: with fewer numbers, if those of a file have fewer.

    Raises:
        UserError: if the file cannot be read, or the model cannot be reduced to its numbers.
    """
    if Path(gallery).suffix not in FORMATS:
        return trained
    dim = read_meta(gallery)['dim']
    return trained if dim == trained.model.feature_dim else reduce_dimension(trained, dim)


def read_gallery(trained: Trained, path: str | Path) -> tuple[list[str], Tensor]:
    """A folder of crops, described now, or a file of descriptors (.npz, .parquet) that `tools/extract.py` made.

    Crops that cannot be read are passed over, and counted in a line that is printed.

    Returns:
        G files and their descriptors, (G, E).

    Raises:
        UserError: if there is no image that can be read, or the descriptors are of another model.
    """
    if Path(path).suffix in FORMATS:
        paths, descriptors = read_descriptors(path, trained)
        return paths, _as_tested(trained, descriptors)
    paths = find_images(check_folder(str(path)))[0]
    if not paths:
        raise UserError(f'no image in the folder {path}: name a folder of crops')
    bad = check_images(paths, decode=True)
    if bad:
        print(f'{len(bad)} of {len(paths)} images in {path} cannot be read and are left out:\n{describe_bad(bad)}')
    paths = [path for path in paths if path not in bad]
    if not paths:
        raise UserError(f'not one image in the folder {path} can be read: name another folder of crops')
    return paths, descriptors_of(trained, paths)


def search(
    trained: Trained, queries: Sequence[str], gallery: tuple[Sequence[str], Tensor], k: int = 10
) -> list[Ranked]:
    """The k images of a gallery that are nearest to each query, which is left out if it is in the gallery itself.

    Args:
        trained: the model.
        queries: files.
        gallery: G files and their descriptors, (G, E).
        k: how many.

    Raises:
        BadImage: for a query that cannot be read.

    Example:
        >>> search(trained, ['me.jpg'], read_gallery(trained, 'crops'))[0].gallery[0]
        'crops/0002_c1s1_000451_03.jpg'
    """
    paths, descriptors = gallery
    found = []
    for query, row in zip(queries, distances_of(trained, queries, descriptors)):
        file = os.path.realpath(query)
        order = row.argsort(stable=True)[: k + 1].tolist()
        order = [index for index in order if os.path.realpath(paths[index]) != file][:k]
        captions = [f'{row[index]:.3f}\n{Path(paths[index]).stem}' for index in order]
        found.append(Ranked(query, Path(query).stem, [paths[index] for index in order], captions))
    return found


def draw_search(trained: Trained, found: Sequence[Ranked], total: int, pixels: int = 160) -> Image.Image:
    """The picture of what `search` found in a gallery of so many images.

    Raises:
        BadImage: for a file that cannot be read.
    """
    return draw_ranking(
        'The images most like the query',
        f'Beside each query, the images nearest to it among {total}, with their {trained.cfg.test.dist_metric} '
        'distance. Who they show is not known.',
        found,
        pixels,
    )
