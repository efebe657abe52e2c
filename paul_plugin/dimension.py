"""A trained model whose descriptor has fewer numbers, and the mAP that this costs."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchreid import metrics

from .descriptors import describe
from .errors import UserError
from .fast_rank import fast_rank
from .reduction import Reduced, Reduction, fit_pca
from .trained import Trained


def reduce_dimension(trained: Trained, dim: int) -> Trained:
    """The same model with a descriptor of `dim` numbers, by PCA of its memory bank.

    Raises:
        UserError: if its file holds no memory bank, or too few rows or numbers for `dim`.

    Example:
        >>> reduce_dimension(open_trained('log/paul_synthetic'), 256).model.feature_dim
        256
    """
    try:
        reduction = Reduction(*fit_pca(*trained.memory(), dim))
    except ValueError as error:
        raise UserError(f'--dim {dim}: {error}') from None
    return trained._replace(model=Reduced(trained.model, reduction).to(trained.device).eval())


def cost_of(reduced: Trained) -> str:
    """What the mAP is on each target of the run, with the whole descriptor and with the reduced one: a line each.

    Args:
        reduced: what `reduce_dimension` gave.
    """
    try:
        loaders = reduced.datamanager().test_loader
    except UserError as error:
        return f'the mAP that it costs was not measured: {str(error).splitlines()[0]}'
    lines = [_cost_on(reduced, name, parts['query'], parts['gallery']) for name, parts in loaders.items()]
    return '\n'.join(lines) or 'the mAP that it costs was not measured: the run has no targets'


def _cost_on(reduced: Trained, name: str, *loaders) -> str:
    model, reduction = reduced.model
    options = {'batch_size': reduced.cfg.test.batch_size, 'workers': reduced.cfg.data.workers}
    items = [loader.dataset.data for loader in loaders]
    whole = [
        torch.cat([*describe(model, [item[0] for item in part], reduced.transform(), **options)]) for part in items
    ]
    short = [reduction(part.to(reduced.device)).cpu() for part in whole]
    before, after = (100 * _mean_ap(reduced, *descriptors, *items) for descriptors in (whole, short))
    return f'mAP on {name}: {before:.1f} with {whole[0].shape[1]} numbers, {after:.1f} with {short[0].shape[1]}'


def _mean_ap(trained: Trained, query: Tensor, gallery: Tensor, query_items: list, gallery_items: list) -> float:
    """mAP as in torchreid's evaluation, with the run's settings.

    Args:
        query, gallery: (Q, E) and (G, E).
        query_items, gallery_items: torchreid's items of them.
    """
    cfg = trained.cfg
    if cfg.test.normalize_feature:
        query, gallery = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    distances = metrics.compute_distance_matrix(query, gallery, cfg.test.dist_metric).numpy()
    labels = [np.array([item[column] for item in items]) for column in (1, 2) for items in (query_items, gallery_items)]
    if cfg.cuhk03.use_metric_cuhk03:
        return float(metrics.evaluate_rank(distances, *labels, use_metric_cuhk03=True)[1])
    return float(fast_rank(distances, *labels)[1])
