"""Signs, without labels, of how well descriptors find a person again in another camera.

None is the paper's: PAUL (Yang et al., CVPR 2019) has no way to tell whether it helped. All but the effective rank look
at the crops of other cameras, because a crop's nearest neighbours are mostly of its own camera, whoever is on them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .camera_means import without_camera_means

_ROWS = 512  # of the distances that are sorted at a time
_NOTHING = 1e-6  # a length below it is rounding


def camera_mixing(descriptors: Tensor, cameras: Tensor, k: int = 10) -> float:
    """How far crops of other cameras are among a crop's nearest: 1 where descriptors do not tell cameras apart.

    The mean over crops of the share of the k nearest other crops that are of another camera, divided by its mean by
    chance, `(N - n_c) / (N - 1)` for a crop of a camera with n_c of the N crops.

    Args:
        descriptors: (N, E); nearest by the cosine, of equally near crops the first.
        cameras: (N,), int64, the camera of each.
        k: how many; all other crops where there are fewer.

    Returns:
        At least 0; 0 where each crop's nearest are all of its own camera.

    Raises:
        ValueError: if the crops are of fewer than two cameras.

    Example:
        >>> descriptors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> camera_mixing(descriptors, torch.tensor([0, 0, 1, 1]), k=1)
        0.0
    """
    other = _other_cameras(cameras)
    number = len(cameras)
    near = _nearest(descriptors, ~torch.eye(number, dtype=torch.bool, device=cameras.device), k)
    share = (near & other).sum() / near.sum()
    chance = other.sum() / (number * (number - 1))
    return (share / chance).item()


def camera_mutuality(descriptors: Tensor, cameras: Tensor, k: int = 5) -> float:
    """How often being nearest in another camera is mutual: two crops of one person choose each other.

    Each crop i has its k nearest crops j among those of other cameras than its own; it is the share of these pairs
    for which i is among the k nearest of j, among crops of other cameras than j's.

    Args:
        descriptors: (N, E); nearest by the cosine, of equally near crops the first.
        cameras: (N,), int64, the camera of each.
        k: how many; all crops of other cameras where there are fewer.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: if the crops are of fewer than two cameras.

    Example:
        >>> descriptors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
        >>> camera_mutuality(descriptors, torch.tensor([0, 0, 1, 1]), k=1)
        1.0
    """
    near = _nearest(descriptors, _other_cameras(cameras), k)
    return ((near & near.T).sum() / near.sum()).item()


def patch_agreement(features: Tensor, cameras: Tensor, k: int = 5) -> float:
    """How often a patch and its whole image choose the same crops of other cameras.

    The share of patches whose nearest patch of other cameras, each camera's mean subtracted, belongs to one of the k
    crops of other cameras that are nearest to the whole image. Where the network draws different people together
    patch by patch, each patch has a look-alike of its own, and the share falls.

    Args:
        features: (N, M, D), the patches of each crop, each L2-normalised; nearest by the cosine, of equally near crops
            the first.
        cameras: (N,), int64, the camera of each crop.
        k: how many; all crops of other cameras where there are fewer.

    Returns:
        From 0 to 1; about k / N by chance.

    Raises:
        ValueError: if the crops are of fewer than two cameras.

    Example:
        >>> features = torch.eye(4)[[0, 1, 0, 1]].reshape(4, 2, 2)
        >>> patch_agreement(features, torch.tensor([0, 0, 1, 1]), k=1)
        1.0
    """
    other = _other_cameras(cameras)
    centred = without_camera_means(features, cameras)
    near = _nearest(centred.flatten(1), other, k)
    agree = [(_nearest(centred[:, patch], other, 1) & near).sum() for patch in range(features.shape[1])]
    return torch.stack(agree).sum().item() / (len(features) * features.shape[1])


def effective_rank(descriptors: Tensor, cameras: Tensor) -> float:
    """In how many directions descriptors differ: a network that draws different people together loses directions.

    Of the descriptors, each camera's mean subtracted and L2-normalised again, the exponential of the entropy of the
    covariance's eigenvalues, divided by their sum (Roy and Vetterli, "The effective rank: A measure of effective
    dimensionality", EUSIPCO 2007).

    Args:
        descriptors: (N, E).
        cameras: (N,), int64, the camera of each.

    Returns:
        From 1 to the smaller of N - 1 and E; 0 where all are equal.

    Example:
        >>> descriptors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> round(effective_rank(descriptors, torch.tensor([0, 0, 0, 0])), 6)
        2.0
    """
    centred = F.normalize(without_camera_means(descriptors, cameras).double(), dim=1, eps=_NOTHING)
    centred = centred - centred.mean(0)
    # Of the two products, which have the same eigenvalues but for zeros, the smaller one.
    product = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    shares = torch.linalg.eigvalsh(product).clamp_min(0)
    if shares.sum() < _NOTHING * len(centred):
        return 0.0
    return torch.special.entr(shares / shares.sum()).sum().exp().item()


def _other_cameras(cameras: Tensor) -> Tensor:
    """(N, N), bool: whether two crops are of different cameras."""
    if len(cameras.unique()) < 2:
        raise ValueError('signs of cameras need crops of two cameras at least')
    return cameras[:, None] != cameras[None, :]


def _nearest(descriptors: Tensor, allowed: Tensor, k: int) -> Tensor:
    """(N, N), bool: entry (i, j) is whether j is among the k nearest to i of those that row i allows."""
    descriptors = F.normalize(descriptors, dim=1)
    near = torch.zeros_like(allowed)
    for rows in torch.arange(len(descriptors), device=descriptors.device).split(_ROWS):
        cosine = (descriptors[rows] @ descriptors.T).masked_fill(~allowed[rows], -torch.inf)
        nearest = torch.sort(cosine, dim=1, descending=True, stable=True).indices[:, :k]
        near[rows] = near[rows].scatter(1, nearest, True)
    return near & allowed
