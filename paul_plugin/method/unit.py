"""Descriptors of length 1, as they leave.

The paper's have length 1 for each of M patches, and so the square root of M in all. Written by plain operators, which
every runtime of an exported file knows.
"""

from torch import Tensor, nn

_LEAST = 1e-12  # of a length, as of `F.normalize`: a row of zeros stays one. No small number stands under the root,
# where an exporter may drop it


def unit_length(rows: Tensor) -> Tensor:
    """(N, E) -> the same, each row of Euclidean length 1.

    Example:
        >>> unit_length(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    return rows / (rows * rows).sum(1, keepdim=True).sqrt().clamp(min=_LEAST)


class UnitLength(nn.Module):
    """`unit_length` as a last layer."""

    def forward(self, descriptors: Tensor) -> Tensor:
        """(B, E) -> the same."""
        return unit_length(descriptors)
