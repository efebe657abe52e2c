"""The objective from the engine's words and numbers: which PEDAL, which IPFL, and what chooses positives."""

import torch

from ..method.camera_pedal import CameraPEDALLoss
from ..method.centroid_ipfl import CentroidIPFL
from ..method.ipfl import DescriptorIPFL
from ..method.memory import PatchMemory
from ..method.mutual_neighbours import MutualNeighbours
from ..method.mutual_pedal import MutualPEDALLoss
from ..method.objective import PAULObjective
from ..method.patchnet import PatchNet
from ..method.pedal import PEDALLoss
from ..method.reciprocal_neighbours import ReciprocalNeighbours
from ..method.similarity import SIMILARITIES

_WORDS = {
    'neighbours': ('all', 'camera'),
    'positives': ('patch', 'image', 'mutual', 'reciprocal'),
    'similarity': tuple(SIMILARITIES),
    'ipfl': ('descriptor', 'centroid'),
    'bank_dtype': ('float32', 'bfloat16'),
}


def check_words(**words: str) -> None:
    """Refuses an argument that is none of its choices."""
    for name, value in words.items():
        if value not in _WORDS[name]:
            raise ValueError(f'ImagePAULEngine: {name} must be {" or ".join(map(repr, _WORDS[name]))}, got {value!r}')


def build_objective(
    net: PatchNet,
    num_images: int,
    cameras: list[int] | None,
    *,
    k: int,
    k_camera: int,
    scale: float,
    positives: str,
    overlap: float,
    similarity: str,
    ipfl: str,
    margin: float,
    r: int,
    max_candidates: int | None,
    momentum: float,
    weight_pedal: float,
    weight_ipfl: float,
    bank_dtype: str,
    shard_memory: bool,
) -> PAULObjective:
    """The objective of so many images, whose words `check_words` has seen.

    Args:
        net: the model.
        num_images: N.
        cameras: how many images each has; None where cameras do not count.
        k, ...: of the engine.
    """
    compared = SIMILARITIES[similarity]
    size = compared(torch.empty(1, net.num_patches, net.dim)).shape[1:]
    memory = PatchMemory(num_images, *size, momentum, getattr(torch, bank_dtype), sharded=shard_memory)
    choose, pedal = _build_pedal(positives, overlap, cameras, k, k_camera, scale)
    mining = {'margin': margin, 'r': r, 'max_candidates': max_candidates}
    length = net.num_patches * net.embedding_dim
    images = (
        DescriptorIPFL(**mining)
        if ipfl == 'descriptor'
        else CentroidIPFL(net.embed, num_images, length, momentum, sharded=shard_memory, **mining)
    )
    return PAULObjective(memory, pedal, images, weight_pedal, weight_ipfl, compared, choose)


def _build_pedal(
    positives: str, overlap: float, cameras: list[int] | None, k: int, k_camera: int, scale: float
) -> tuple[MutualNeighbours | ReciprocalNeighbours | None, PEDALLoss | CameraPEDALLoss | MutualPEDALLoss]:
    """The loss, and what chooses its positives; None where these are a patch's nearest patches."""
    if cameras is None:
        if positives != 'patch':
            raise ValueError(f"ImagePAULEngine: positives={positives!r} needs neighbours='camera'")
        return None, PEDALLoss(k, scale)
    if len(cameras) == 1:
        print(
            'The training images are of one camera, or their cameras are unknown: PEDAL looks for the nearest among '
            'all of them (folder.camera names the cameras of a folder)'
        )
    if positives == 'patch':
        return None, _camera_pedal(cameras, k, k_camera, scale)
    if positives == 'reciprocal':
        choose = ReciprocalNeighbours(cameras, k_camera or k, shared=k, overlap=overlap)
    else:
        most = k_camera or max(1, round(k / len(cameras)))
        choose = MutualNeighbours(cameras, most, both_ways=positives == 'mutual')
    return choose, MutualPEDALLoss(choose.spans, k, scale)


def _camera_pedal(counts: list[int], k: int, k_camera: int, scale: float) -> PEDALLoss | CameraPEDALLoss:
    """PEDAL camera by camera, of cameras with so many images each; of a single one, which tells nothing, PEDAL."""
    if len(counts) == 1:
        return PEDALLoss(k, scale)
    k_camera = k_camera or max(1, round(k / len(counts)))
    if max(counts) <= k_camera:
        fewer = 'lower paul.k_camera or paul.k, ' if k_camera > 1 else ''
        raise ValueError(
            f"ImagePAULEngine: neighbours='camera' with k={k_camera} needs a camera of more than k training images, "
            f'the largest of {len(counts)} has {max(counts)}: {fewer}name the cameras otherwise (folder.camera), '
            'or set paul.neighbours all'
        )
    pedal = CameraPEDALLoss(counts, k_camera, scale, k_recall=k)
    if pedal.left_out:
        print(f'{pedal.left_out} of {len(counts)} cameras have no more than {pedal.k} images and take no part in PEDAL')
    return pedal
