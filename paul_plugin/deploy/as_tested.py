"""Descriptors compared as the test of a model's run compares them: its normalisation, its metric, its mAP."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchreid import metrics
from tqdm import tqdm

from ..data.descriptors import describe
from ..host.evaluation import fast_rank
from ..method.unit import unit_length
from ..run.trained import Trained

_ROWS = 65536  # of a gallery that are compared at a time


def described(trained: Trained, paths: Sequence[str]) -> Tensor:
    """Descriptors of images, (N, E), on the CPU, of length 1.

    One batch is read in this process: workers take longer to start, and where they are not forked, a program needs a
    main guard for them.
    """
    cfg = trained.cfg
    total = -(-len(paths) // cfg.test.batch_size)
    workers = cfg.data.workers if total > 1 else 0
    batches = describe(trained.model, paths, trained.transform(), cfg.test.batch_size, workers)
    return unit_length(torch.cat(list(tqdm(batches, 'Describing images', total, delay=2, leave=False))))


def distances(trained: Trained, queries: Tensor, gallery: Tensor) -> Tensor:
    """By the run's test: (Q, E) and (G, E), of length 1, or those centred -> (Q, G).

    Centred ones are not made of length 1 again, which the test does not do either: cosines do not see it.

    A large gallery, which may be a file mapped into memory, is taken in parts: torchreid makes a copy of what it gets.
    """
    queries, metric = trained.normalised(queries), trained.cfg.test.dist_metric
    parts = (trained.normalised(part) for part in gallery.split(_ROWS))
    return torch.cat([metrics.compute_distance_matrix(queries, part, metric) for part in parts], dim=1)


def mean_ap(
    trained: Trained, queries: Tensor, gallery: Tensor, query_items: Sequence[tuple], gallery_items: Sequence[tuple]
) -> float:
    """The mAP of descriptors, from 0 to 1, as torchreid's evaluation gives it.

    Args:
        trained: the model.
        queries, gallery: (Q, E) and (G, E), of one length.
        query_items, gallery_items: torchreid's items of them, (path, pid, camid, ...).
    """
    matrix = distances(trained, queries, gallery).numpy()
    labels = [np.array([item[column] for item in items]) for column in (1, 2) for items in (query_items, gallery_items)]
    if trained.cfg.cuhk03.use_metric_cuhk03:
        return float(metrics.evaluate_rank(matrix, *labels, use_metric_cuhk03=True)[1])
    return float(fast_rank(matrix, *labels)[1])
