"""Writes the pictures of a running training to TensorBoard, and leaves nothing else changed."""

import numpy as np
import torch
from PIL import Image

from ..data.descriptors import eval_mode
from ..data.loaders import gives_surrogates
from ..engines.watch.observer import Observer
from ..figures.mining import draw_mining, mine_batch
from ..figures.neighbours import draw_neighbours, find_neighbours
from ..figures.patches import draw_patches, find_patches
from ..figures.ranked import draw_labelled, ranked_items
from ..figures.sheet import spread
from ..host.data import training_images
from ..host.engine import unwrap
from ..runtime import processes

PEOPLE, QUERIES, TOP = 8, 6, 10  # images with patches, queries of a ranking, gallery images of each


class TensorBoardPictures(Observer):
    """Looks on at an ImagePAULEngine.

    It reads these attributes of the engine, and no other: `writer`, `model`, `datamanager`, `memory` (`.bank`,
    `.filled`, `.shard`), `miner` (a CyclicRankingMiner), `mines_centroids`, `seed` and `epoch`.

    The first process writes; nothing is sent. Of a bank in shards it holds a share only, and draws no neighbours:
    `tools/visualize.py neighbours` draws them from a checkpoint. Without surrogates nothing is mined, or drawn of it.

    Args:
        freq: epochs between two sets of pictures, at least 1; a ranking is drawn in each test.
    """

    def __init__(self, freq: int) -> None:
        self.freq = freq

    def after_epoch(self, engine) -> None:
        """Patches, neighbours and mining, of the same images each time."""
        if (engine.epoch + 1) % self.freq or not _writes(engine):
            return
        model = unwrap(engine.model)
        datamanager, paths = engine.datamanager, training_images(engine.datamanager)
        chosen = [paths[index] for index in spread(len(paths), PEOPLE)]
        transform, train, memory = datamanager.transform_te, datamanager.train_loader, engine.memory
        with eval_mode(model):
            _write(engine, 'patches', draw_patches(find_patches(model, transform, chosen)))
            if memory.shard is None:
                bank = memory.bank, memory.filled
                near = find_neighbours(model, transform, bank, paths, chosen[:: PEOPLE // 2])
                _write(engine, 'neighbours', draw_neighbours(near))
            if gives_surrogates(datamanager):
                pair = train.dataset.transform
                mining = mine_batch(model, pair, paths, engine.miner, train.batch_size, seed=engine.seed)
                _write(engine, 'mining', draw_mining(mining, centroid=engine.mines_centroids))

    def after_ranking(self, engine, target: int, distances: np.ndarray) -> None:
        """In a test: some queries of a target with the distances that were just evaluated.

        Args:
            engine: the engine, whose writer is open during training.
            target: the number of the data set among the targets.
            distances: (Q, G).
        """
        if not _writes(engine):
            return
        name, loaders = list(engine.datamanager.test_loader.items())[target]
        queries, gallery = (loaders[part].dataset.data for part in ('query', 'gallery'))
        chosen = spread(len(queries), QUERIES)
        drawn = [queries[index] for index in chosen]
        found = ranked_items(torch.as_tensor(distances[chosen]), drawn, gallery, TOP, loaders['query'].dataset)
        _write(engine, f'ranking {name}', draw_labelled(name, found))


def _writes(engine) -> bool:
    return engine.writer is not None and processes.is_first()


def _write(engine, name: str, image: Image.Image) -> None:
    engine.writer.add_image(f'pictures/{name}', np.asarray(image), engine.epoch + 1, dataformats='HWC')
