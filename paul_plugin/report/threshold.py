"""A distance between crops of one person and of two, from the labels of a run's own test."""

from ..deploy.separation import thresholds
from ..run.trained import Trained
from ..runtime.errors import UserError
from .distances import Separation, measure
from .gallery import Pictures

SHARE = 0.01  # of the pairs of different persons that are nearer


def labelled_threshold(trained: Trained, share: float = SHARE) -> tuple[float | None, str]:
    """The distance that a share of the labelled pairs of different persons are under.

    The run's query and gallery are described for it, and compared without centring by cameras.

    Args:
        trained: the model, whose configuration names the run's data.
        share: of the pairs, above 0.

    Returns:
        The distance, or None where it cannot be told; and a line that says which and why.
    """
    cfg = trained.cfg.clone()
    cfg.test.centre_cameras = False
    pictures = Pictures(trained._replace(cfg=cfg))
    try:
        if not trained.checkpoint.get('config'):
            raise UserError('its file tells of no data')
        if pictures.tested is None:
            raise UserError(f'{", ".join(cfg.data.targets)} has no labelled query and gallery images')
        measured = measure(pictures)
    except UserError as error:
        return None, f'no threshold: {str(error).splitlines()[0]}; --threshold names one'
    assert isinstance(measured, Separation)
    (found,) = thresholds(measured.pairs, [share])
    data = f'{100 * share:g} % of the different pairs of {measured.told["data"]}'
    if found.threshold is None:
        return None, f'no threshold: {data} cannot be told, {found.lack()}; --threshold names one'
    return found.threshold, f'threshold {found.threshold:.4f}, which {data} are under (--threshold none for none)'
