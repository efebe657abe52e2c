"""PCA of descriptors: fitted on the memory bank, applied as a last layer of the model, and the mAP that it costs."""

import torch
from torch import Tensor, nn

from ..data.descriptors import describe
from ..method.unit import unit_length
from ..run.trained import Trained
from ..runtime.errors import UserError, printable
from .as_tested import mean_ap
from .last_layers import net_and_layers, with_layers

_ROWS = 16384  # of the bank that are held in float64 at a time


def fit_pca(bank: Tensor, filled: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Principal components of the memory bank, its rows taken as descriptors.

    Computed in float64 by the eigenvectors of the covariance. The sign of a component is such that its number of the
    largest absolute value is positive.

    Args:
        bank: (M, N, D).
        filled: (N,) bool, the rows that count.
        dim: how many components.

    Returns:
        The mean (M*D,) and the components (dim, M*D), orthonormal, the one of the largest variance first; float64.

    Raises:
        ValueError: if `dim` is not from 1 to min(rows - 1, M*D): the mean takes one of the rows' dimensions.

    Example:
        >>> mean, components = fit_pca(memory.bank, memory.filled, 256)
        >>> components.shape
        torch.Size([256, 1536])
    """
    rows = bank[:, filled].transpose(0, 1).flatten(1)
    limit = min(len(rows) - 1, rows.shape[1])
    if not 1 <= dim <= limit:
        raise ValueError(
            f'PCA of {len(rows)} descriptors of {rows.shape[1]} numbers gives 1 to {limit} numbers, not {dim}'
        )
    mean = sum(block.double().sum(0) for block in rows.split(_ROWS)) / len(rows)
    centred = (block.double() - mean for block in rows.split(_ROWS))
    covariance = sum(block.T @ block for block in centred)
    components = torch.linalg.eigh(covariance).eigenvectors.T.flip(0)[:dim]
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    return mean, components * largest.sign()


class Reduction(nn.Module):
    """Projects descriptors on principal components and L2-normalises them.

    Euclidean and cosine distance and the dot product then rank alike.

    Args:
        mean: (E,).
        components: (dim, E), orthonormal.
    """

    def __init__(self, mean: Tensor, components: Tensor) -> None:
        super().__init__()
        self.register_buffer('mean', mean.float())
        self.register_buffer('components', components.float())

    def forward(self, descriptors: Tensor) -> Tensor:
        """(B, E) -> (B, dim)."""
        return unit_length((descriptors - self.mean) @ self.components.T)


def reduce_dimension(trained: Trained, dim: int) -> Trained:
    """The same model with a descriptor of `dim` numbers, by PCA of its memory bank.

    Raises:
        UserError: if its file holds no memory bank, or too few rows or numbers for `dim`, or if the model's descriptors
            were reduced or centred already.

    Example:
        >>> reduce_dimension(open_trained('log/paul_synthetic'), 256).model.feature_dim
        256
    """
    if net_and_layers(trained.model)[1]:
        raise UserError(
            f'--dim {dim}: the descriptors of {printable(trained.path)} were reduced or centred already, its memory '
            'bank was not: take the model as open_trained gives it'
        )
    try:
        reduction = Reduction(*fit_pca(*trained.memory(), dim))
    except ValueError as error:
        raise UserError(f'--dim {dim}: {error}') from None
    return with_layers(trained, reduction, feature_dim=dim)


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
    model, (reduction,) = net_and_layers(reduced.model)
    options = {'batch_size': reduced.cfg.test.batch_size, 'workers': reduced.cfg.data.workers}
    items = [loader.dataset.data for loader in loaders]
    whole = [
        torch.cat([*describe(model, [item[0] for item in part], reduced.transform(), **options)]) for part in items
    ]
    short = [reduction(part.to(reduced.device)).cpu() for part in whole]
    before, after = (100 * mean_ap(reduced, *descriptors, *items) for descriptors in (whole, short))
    return f'mAP on {name}: {before:.1f} with {whole[0].shape[1]} numbers, {after:.1f} with {short[0].shape[1]}'
