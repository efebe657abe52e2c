"""Writes the pictures of a running training to TensorBoard, and leaves nothing else changed."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..host.data import training_images
from ..host.engine import unwrap
from ..runtime import processes
from .mining import draw_mining
from .neighbours import draw_neighbours
from .patches import draw_patches
from .ranking import draw_labelled, ranked_items
from .sheet import spread

PEOPLE, QUERIES, TOP = 8, 6, 10  # images with patches, queries of a ranking, gallery images of each


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within it a model is in eval mode; each of its modules then gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def write_pictures(engine) -> None:
    """After an epoch: patches, neighbours and mining, of the same images each time.

    The first process writes; nothing is sent. Of a bank in shards it holds a share only, and draws no neighbours:
    `tools/visualize.py neighbours` draws them from a checkpoint.

    Args:
        engine: an ImagePAULEngine.
    """
    if engine.writer is None or not processes.is_first():
        return
    model = unwrap(engine.model)
    datamanager, images = engine.datamanager, training_images(engine.datamanager)
    chosen = [images[index] for index in spread(len(images), PEOPLE)]
    transform, memory = datamanager.transform_te, engine.memory
    with eval_mode(model):
        _write(engine, 'patches', draw_patches(model, transform, chosen))
        if memory.shard is None:
            bank = memory.bank, memory.filled
            _write(engine, 'neighbours', draw_neighbours(model, transform, bank, images, chosen[:: PEOPLE // 2]))
        train = datamanager.train_loader
        mined = draw_mining(
            model,
            train.dataset.transform,
            images,
            engine.miner,
            train.batch_size,
            seed=engine.seed,
            centroid=engine.centroids is not None,
        )
        _write(engine, 'mining', mined)


def write_ranking(engine, target: int, distances: np.ndarray) -> None:
    """In a test: some queries of a target with the distances that were just evaluated.

    Args:
        engine: an engine, whose writer is open during training.
        target: the number of the data set among the targets.
        distances: (Q, G).
    """
    if engine.writer is None or not processes.is_first():
        return
    name, loaders = list(engine.datamanager.test_loader.items())[target]
    queries, gallery = (loaders[part].dataset.data for part in ('query', 'gallery'))
    chosen = spread(len(queries), QUERIES)
    found = ranked_items(torch.as_tensor(distances[chosen]), [queries[index] for index in chosen], gallery, TOP)
    _write(engine, f'ranking {name}', draw_labelled(name, found))


def _write(engine, name: str, image: Image.Image) -> None:
    engine.writer.add_image(f'pictures/{name}', np.asarray(image), engine.epoch + 1, dataformats='HWC')
