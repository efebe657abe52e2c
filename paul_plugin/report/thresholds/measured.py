"""Which distance means the same person: what a run's labels tell of it, and what can be seen without labels."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...config.settings import with_keys
from ...data.ids import camera_name
from ...deploy.as_tested import distances
from ...figures.sheet import spread
from ...host.data import items_of
from ...run.trained import Trained
from ...runtime.errors import UserError, printable
from ..embedding import NumberTable, Picture
from ..gallery import Pictures, Tested
from .drawn import draw_nearest, draw_pairs, edges_of
from .pairs import Pairs, Threshold, roc, split_pairs, thresholds

_HEADING = 'Distances'
_MOST_PAIRS = 100_000_000  # 400 MB of distances
_MOST_CROPS = 2000  # whose nearest crop is looked for, where there are no labels
_MOST_COLUMNS = 12  # cameras of a table
SHARE = 0.01  # of the pairs of different persons that are nearer than the threshold of `labelled_threshold`
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WITHOUT_LABELS = (
    'Without labels it cannot be said which of these crops show the same person, and so no threshold: label query and '
    'gallery images of some people, or look at searches and take a distance beyond which all are wrong.'
)


class Labelled(NamedTuple):
    """What the labels of a run's test tell.

    Attributes:
        told: what JSON tells first: of which data the distances are, and how they were compared.
        pairs: the distances.
        thresholds: by the share of different pairs that they accept.
    """

    told: dict[str, object]
    pairs: Pairs
    thresholds: list[Threshold]

    def table(self) -> NumberTable:
        same, different = self.pairs
        rows = [
            (
                f'{100 * each.asked:g} %',
                [each.lack(), ''] if each.threshold is None else [f'{each.threshold:.4f}', f'{100 * each.same:.1f} %'],
            )
            for each in self.thresholds
        ]
        caption = f'{self.told["data"]}: {len(same):,} pairs of the same and {len(different):,} of different persons'
        return NumberTable(caption, ['different pairs accepted', 'nearer than', 'same pairs found'], rows)

    def image(self) -> Image.Image:
        marks = [
            (f'{100 * each.asked:g} %', each.threshold, each.different, each.same)
            for each in self.thresholds
            if each.threshold is not None
        ]
        return draw_pairs(*self.pairs, marks, roc(self.pairs), str(self.told['metric']))

    def picture(self) -> Picture:
        explanation = (
            'Every query with every gallery image of another camera, compared as the test ranks them. A threshold '
            'takes nearer pairs for one person: you choose how many pairs of different persons it may accept, and see '
            'how many pairs of the same person it finds. It holds for this model and for cameras like these.'
        )
        return Picture(_HEADING, explanation, self.image(), self.table())

    def summary(self) -> dict[str, object]:
        edges = edges_of(*self.pairs)
        accepted, found = roc(self.pairs)
        return {
            **self.told,
            'pairs': {'same': len(self.pairs.same), 'different': len(self.pairs.different)},
            'thresholds': [each._asdict() for each in self.thresholds],
            'histogram': {
                'edges': edges.tolist(),
                **{name: np.histogram(each, edges)[0].tolist() for name, each in self.pairs._asdict().items()},
            },
            'roc': {'different': accepted.tolist(), 'same': found.tolist()},
        }


class Nearest(NamedTuple):
    """What can be seen without labels.

    Attributes:
        told: as in `Labelled`.
        by_camera: the camera of crops, the camera that their nearest crop is of -> distances; one name where the
            cameras are not known.
    """

    told: dict[str, object]
    by_camera: dict[str, dict[str, NDArray[np.float32]]]

    def _groups(self) -> dict[str, NDArray[np.float32]]:
        """What is said of the nearest crops -> distances."""
        own, others = [], []
        for camera, row in self.by_camera.items():
            own += [row[camera]] if camera in row else []
            elsewhere = [row[other] for other in row if other != camera]
            others += [np.min(elsewhere, 0)] if elsewhere else []
        if not others:
            return {'of all crops': np.concatenate(own)}
        groups = {'of the same camera': own, 'of the other cameras': others}
        return {name: np.concatenate(each) for name, each in groups.items() if each}

    def table(self) -> NumberTable:
        if 1 < len(self.by_camera) <= _MOST_COLUMNS:
            names = [*self.by_camera]
            rows = [
                (f'crops of {name}', [f'{np.median(row[other]):.4f}' if other in row else '' for other in names])
                for name, row in self.by_camera.items()
            ]
            return NumberTable('median distance to the nearest crop of each camera', ['', *names], rows)
        rows = [
            (name, [f'{value:.4f}' for value in np.quantile(each, _QUANTILES)]) for name, each in self._groups().items()
        ]
        columns = ['', *(f'{100 * quantile:g} %' for quantile in _QUANTILES)]
        return NumberTable('distance to the nearest crop, quantiles', columns, rows)

    def image(self) -> Image.Image:
        return draw_nearest(self._groups(), str(self.told['metric']))

    def picture(self) -> Picture:
        words = 'How far the crop is that is nearest to each crop, among those of the training images.'
        return Picture(_HEADING, f'{words} {WITHOUT_LABELS}', self.image(), self.table())

    def summary(self) -> dict[str, object]:
        pairs = {
            name: {other: np.quantile(each, _QUANTILES).tolist() for other, each in row.items()}
            for name, row in self.by_camera.items()
        }
        return {**self.told, 'note': WITHOUT_LABELS, 'quantiles': _QUANTILES, 'nearest': pairs}


def measure(pictures: Pictures) -> Labelled | Nearest:
    """The distances of a run's first target with labels; where there is none, those of its training images.

    They are compared as the run's test ranks them, by its metric, with `test.centre_cameras` without the means of the
    cameras, and with `test.camera_norms` by their norms. Of more than 100 million pairs only so many queries are
    taken, evenly spread.

    Raises:
        UserError: if the data are not there, or have not two images or persons to compare.

    Example:
        >>> measure(Pictures(open_trained('log/paul_synthetic'))).thresholds[0].same
        0.3141
    """
    cfg = pictures.trained.cfg
    told = {'weights': printable(pictures.trained.path), 'metric': cfg.test.dist_metric}
    told |= {key: bool(cfg.test[key]) for key in ('centre_cameras', 'camera_norms')}
    tested = pictures.tested
    return _nearest(pictures, told) if tested is None else _labelled(pictures, tested, told)


def _labelled(pictures: Pictures, tested: Tested, told: dict[str, object]) -> Labelled:
    most = max(1, _MOST_PAIRS // len(tested.gallery))
    queries = [tested.queries[index] for index in spread(len(tested.queries), most)]
    matrix = distances(pictures.trained, pictures.rows(queries), pictures.gallery_rows).numpy()
    pairs = split_pairs(matrix, queries, tested.gallery)
    if not all(map(len, pairs)):
        raise UserError(
            f'{tested.name}: no pairs of {"different persons" if len(pairs.same) else "the same person"} from two '
            'cameras, so there are no distances to compare: label more images'
        )
    told = {'data': tested.name, 'queries': len(queries), 'gallery': len(tested.gallery), **told}
    return Labelled(told, pairs, thresholds(pairs))


def _nearest(pictures: Pictures, told: dict[str, object]) -> Nearest:
    items = items_of(pictures.datamanager)['train']
    if len(items) < 2:
        raise UserError(f'{len(items)} training images: distances need two')
    rows = pictures.rows(items)
    dataset = pictures.datamanager.train_loader.dataset
    cameras = np.array([item[2] for item in items])
    chosen = spread(len(items), _MOST_CROPS)
    found: dict[str, dict[str, list[float]]] = {}
    for index, row in _rows_of_distances(pictures, rows, chosen):
        row[index] = np.inf  # a crop is not its own nearest
        own = found.setdefault(camera_name(dataset, cameras[index]), {})
        for camera in np.unique(cameras):
            nearest = row[cameras == camera].min()
            if np.isfinite(nearest):
                own.setdefault(camera_name(dataset, camera), []).append(max(0.0, float(nearest)))
    by_camera = {
        name: {other: np.array(each, np.float32) for other, each in own.items()} for name, own in found.items()
    }
    told = {'data': ', '.join(pictures.trained.cfg.data.sources), 'crops': len(chosen), 'among': len(items), **told}
    return Nearest(told, by_camera)


def _rows_of_distances(pictures: Pictures, rows, chosen: list[int], at_once: int = 64) -> Iterator[tuple[int, NDArray]]:
    """The distances of chosen images from all, an image at a time."""
    for start in range(0, len(chosen), at_once):
        part = chosen[start : start + at_once]
        yield from zip(part, distances(pictures.trained, rows[part], rows).numpy(), strict=True)


def labelled_threshold(trained: Trained, share: float = SHARE) -> tuple[float | None, str]:
    """The distance that a share of the labelled pairs of different persons are under.

    The run's query and gallery are described for it, without the means and norms of cameras.

    Args:
        trained: the model, whose configuration names the run's data.
        share: of the pairs, above 0.

    Returns:
        The distance, or None where it cannot be told; and a line that says which and why.
    """
    cfg = with_keys(trained.cfg, {'test.centre_cameras': False, 'test.camera_norms': False})
    pictures = Pictures(trained._replace(cfg=cfg))
    try:
        if not trained.checkpoint.get('config'):
            raise UserError('its file tells of no data')
        if pictures.tested is None:
            raise UserError(f'{", ".join(cfg.data.targets)} has no labelled query and gallery images')
        measured = measure(pictures)
    except UserError as error:
        return None, f'no threshold: {str(error).splitlines()[0]}; --threshold names one'
    assert isinstance(measured, Labelled)
    (found,) = thresholds(measured.pairs, [share])
    data = f'{100 * share:g} % of the different pairs of {measured.told["data"]}'
    if found.threshold is None:
        return None, f'no threshold: {data} cannot be told, {found.lack()}; --threshold names one'
    return found.threshold, f'threshold {found.threshold:.4f}, which {data} are under (--threshold none for none)'
