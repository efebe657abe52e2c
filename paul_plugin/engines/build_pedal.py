"""Which PEDAL a run has, and what chooses its positives: by the cameras that are known, and the config's words."""

from ..method.camera_pedal import CameraPEDALLoss
from ..method.mutual_neighbours import MutualNeighbours
from ..method.mutual_pedal import MutualPEDALLoss
from ..method.pedal import PEDALLoss


def build_pedal(
    positives: str, cameras: list[int] | None, k: int, k_camera: int, scale: float
) -> tuple[MutualNeighbours | None, PEDALLoss | CameraPEDALLoss | MutualPEDALLoss]:
    """The loss, and what chooses its positives; None where these are a patch's nearest patches.

    Args:
        positives, k, k_camera, scale: of the engine.
        cameras: how many images each has; None where cameras do not count.
    """
    if cameras is None:
        if positives != 'patch':
            raise ValueError(f"ImagePAULEngine: positives={positives!r} needs neighbours='camera'")
        return None, PEDALLoss(k, scale)
    if positives == 'patch' or len(cameras) == 1:
        return None, _camera_pedal(cameras, k, k_camera, scale)
    choose = MutualNeighbours(cameras, k_camera or max(1, round(k / len(cameras))), both_ways=positives == 'mutual')
    return choose, MutualPEDALLoss(choose.spans, k, scale)


def _camera_pedal(counts: list[int], k: int, k_camera: int, scale: float) -> PEDALLoss | CameraPEDALLoss:
    """PEDAL camera by camera, of cameras with so many images each; of a single one, which tells nothing, PEDAL."""
    if len(counts) == 1:
        print(
            'The training images are of one camera, or their cameras are unknown: PEDAL looks for the nearest among '
            'all of them (folder.camera names the cameras of a folder)'
        )
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
