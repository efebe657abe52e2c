"""The pictures of a trained model: which images they show, and the data that they need."""

import functools
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..data.ids import camera_name
from ..data.loaders import gives_surrogates
from ..deploy.as_tested import described, distances
from ..deploy.by_camera import described_items, training_norms
from ..deploy.centred import training_means
from ..engines.centring import lone_of_training
from ..figures.mining import draw_mining, mine_batch
from ..figures.neighbours import draw_neighbours, find_neighbours
from ..figures.patches import draw_patches, find_patches
from ..figures.positives import Positives, draw_positives, find_positives
from ..figures.ranked import Ranked, draw_labelled, ranked_items
from ..figures.sheet import spread
from ..host.data import images_digest, items_of, training_images
from ..method.camera_means import CameraMeans
from ..method.camera_norms import CameraNorms
from ..method.miner import CyclicRankingMiner
from ..run.data import root_of
from ..run.trained import Trained
from ..runtime import randomness
from ..runtime.errors import UserError, printable
from ..runtime.names import one_or_more


def choose(words: Sequence[str], paths: Sequence[str], number: int, seed: int | None = None) -> list[int]:
    """Which of some images are to be drawn.

    Args:
        words: names of files, with or without their folder, or numbers, from 0 on; none for any images.
        paths: the images.
        number: how many are taken where no words say which.
        seed: draws these at random; None spreads them evenly.

    Returns:
        Their indices.

    Raises:
        UserError: for a word that names none of them.

    Example:
        >>> choose(['0002_c1s1_000451_03.jpg'], paths, number=6)
        [0]
    """
    words = [os.fspath(word) for word in one_or_more(words)]
    if not words:
        if seed is None:
            return spread(len(paths), number)
        with randomness.seeded(seed, randomness.PICTURES):
            return torch.randperm(len(paths))[:number].tolist()
    index_of = {os.path.basename(path): index for index, path in enumerate(paths)}
    index_of |= {os.path.abspath(path): index for index, path in enumerate(paths)}
    index_of |= {str(index): index for index in range(len(paths))}
    found = [index_of.get(word, index_of.get(os.path.abspath(word))) for word in words]
    for word, index in zip(words, found):
        if index is None:
            raise UserError(
                f'{printable(word)} is none of the {len(paths)} images: name one of them, or a number from 0 on'
            )
    return found


class Tested(NamedTuple):
    """What a test of a run measures on: a target's name, torchreid's items, and its data set of the queries."""

    name: str
    queries: list[tuple]
    gallery: list[tuple]
    dataset: object


class Pictures:
    """Draws the pictures of a trained model. Its data are read once, by the first picture that needs them.

    Args:
        trained: the model.
        pixels: height of an image in a picture.

    Example:
        >>> Pictures(open_trained('log/paul_synthetic')).patches().save('patches.png')
    """

    def __init__(self, trained: Trained, pixels: int = 160) -> None:
        self.trained = trained
        self.pixels = pixels

    @functools.cached_property
    def datamanager(self):
        return self.trained.datamanager()

    @functools.cached_property
    def images(self) -> list[str]:
        """The training images, in the order of the memory bank."""
        return training_images(self.datamanager)

    def _named(self, words: Sequence[str], number: int, seed: int | None) -> list[str]:
        """Any files, or training images."""
        words = [os.fspath(word) for word in one_or_more(words)]
        if words and all(map(os.path.isfile, words)):
            return words
        return [self.images[index] for index in choose(words, self.images, number, seed)]

    def patches(self, images: Sequence[str] = (), number: int = 8, seed: int | None = None) -> Image.Image:
        """Learned patches, see `draw_patches`; of any image files, or of training images."""
        trained = self.trained
        found = find_patches(trained.model, trained.transform(), self._named(images, number, seed))
        return draw_patches(found, self.pixels)

    def neighbours(
        self, images: Sequence[str] = (), number: int = 2, seed: int | None = None, k: int = 5, labels: bool = False
    ) -> Image.Image:
        """Nearest patches and images in the memory bank, see `find_neighbours`; of any image files, or training images.

        Raises:
            UserError: if there is no memory bank, if the training images are others than the bank's, or if they have no
                labels.
        """
        trained = self.trained
        memory = trained.memory()
        trained.check_images(self.datamanager)
        queries = self._named(images, number, seed)
        pids = [item[1] for item in items_of(self.datamanager)['train']] if labels else None
        if pids and len(set(pids)) == 1:
            raise UserError(f'the training images of {", ".join(trained.cfg.data.sources)} have no labels: no --labels')
        found = find_neighbours(trained.model, trained.transform(), memory, self.images, queries, k, pids)
        return draw_neighbours(found, self.pixels)

    def mining(self, images: Sequence[str] = (), number: int = 6, seed: int = 0) -> Image.Image:
        """What the run mines: positives, where they are whole images, see `draw_positives`; else cyclic ranking in a
        batch of training images, see `draw_mining`.

        Raises:
            UserError: if the run mines neither: it has drawn no surrogates, or not begun.
        """
        trained, paul = self.trained, self.trained.cfg.paul
        images = one_or_more(images)
        if paul.positives != 'patch':
            return draw_positives(self._positives(images, number), self.pixels)
        if not gives_surrogates(self.datamanager):
            raise UserError(
                f'data.transforms of {printable(trained.path)} has no surrogate_positive, so there is nothing to mine: '
                'name a run with IPFL'
            )
        mining = mine_batch(
            trained.model,
            self.datamanager.train_loader.dataset.transform,
            self.images,
            CyclicRankingMiner(paul.r, paul.max_candidates or None),
            trained.cfg.train.batch_size,
            first=[self.images[index] for index in choose(images, self.images, number)] if images else [],
            seed=seed,
        )
        return draw_mining(mining, len(images) or number, paul.ipfl == 'centroid', self.pixels)

    def _positives(self, images: Sequence[str], number: int) -> Positives:
        if not _has_positives(self.trained.checkpoint):
            raise self.trained.lacks('positives', _has_positives, 'name a checkpoint from after an epoch')
        chosen = self.trained.checkpoint['positives']
        self.trained.check_images(self.datamanager)
        dataset = self.datamanager.train_loader.dataset
        cameras = [camera_name(dataset, camera) for camera in sorted({item[2] for item in dataset.data})]
        return find_positives(chosen, self.images, cameras, choose(images, self.images, number))

    @functools.cached_property
    def tested(self) -> Tested | None:
        """The first target of the run that has query and gallery images, if one has."""
        for name, loaders in self.datamanager.test_loader.items():
            items = [loaders[part].dataset.data for part in ('query', 'gallery')]
            if all(items):
                return Tested(name, *items, loaders['query'].dataset)
        return None

    @functools.cached_property
    def _of_cameras(self) -> tuple[CameraNorms, CameraMeans | None]:
        """What the run's test takes from cameras; None for the means that it does not take off."""
        trained = self.trained
        if trained.checkpoint.get('images') not in (None, images_digest(self.datamanager)):
            print(
                f'warning: means and norms of cameras are those of the training images in '
                f'{printable(root_of(trained.cfg, trained.cfg.data.sources[0]))}, which are not those that '
                f'{printable(trained.path)} was trained on'
            )
        norms = training_norms(trained, self.datamanager)
        if not trained.cfg.test.centre_cameras:
            return norms, None
        means = training_means(trained, self.datamanager, norms)
        if means.lone:
            print(f'warning: {lone_of_training(means, self.datamanager.train_loader.dataset)}')
        return norms, means

    def rows(self, items: Sequence[tuple]) -> Tensor:
        """Descriptors of torchreid's items as the run's test compares them, (N, E).

        With `test.camera_norms` they are described by the norms of their camera, and with `test.centre_cameras` they
        are without its mean.
        """
        test = self.trained.cfg.test
        if not (test.camera_norms or test.centre_cameras):
            return described(self.trained, [item[0] for item in items])
        norms, means = self._of_cameras
        rows = described_items(self.trained, items, norms)
        return rows if means is None else means.centred(rows, [item[2] for item in items])

    @functools.cached_property
    def gallery_rows(self) -> Tensor:
        """The gallery's, (G, E), where there is one."""
        return self.rows(self.tested.gallery if self.tested else [])

    def ranked(
        self,
        images: Sequence[str] = (),
        number: int = 6,
        seed: int | None = None,
        k: int = 10,
        worst: bool = False,
        threshold: float | None = None,
    ) -> tuple[str, list[Ranked]]:
        """Queries of the run's first target that has any, and what is nearest to them.

        Args:
            images: names or numbers of queries.
            number, seed: of queries, where `images` names none.
            k: gallery images a query.
            worst: take those of the lowest average precision, where `images` names none.
            threshold: a distance; what is not nearer is called unknown.

        Returns:
            The target's name and the queries.

        Raises:
            UserError: if there are no queries.
        """
        if self.tested is None:
            raise UserError(
                f'{", ".join(self.trained.cfg.data.targets)} has no labelled query and gallery images, which a ranking '
                'needs: --opts data.targets names other data, --query and --gallery do without labels'
            )
        target, queries, gallery, dataset = self.tested
        images = one_or_more(images)
        if not worst or images:
            queries = [queries[index] for index in choose(images, [item[0] for item in queries], number, seed)]
        matrix = distances(self.trained, self.rows(queries), self.gallery_rows)
        found = ranked_items(matrix, queries, gallery, k, dataset, threshold)
        if worst and not images:
            counted = [each for each in found if each.precision is not None]
            found = sorted(counted, key=lambda each: each.precision)[:number]
        return target, found

    def ranking(self, images: Sequence[str] = (), **options) -> Image.Image:
        """The picture of `ranked`, right and wrong framed."""
        return draw_labelled(*self.ranked(images, **options), self.pixels)


def _has_positives(checkpoint: dict) -> bool:
    return isinstance(checkpoint.get('positives'), Tensor)


# What stands in the place of cyclic ranking for a run whose positives are whole images
POSITIVES = (
    'Positives',
    'The images whose patches PEDAL (section 3.2) pulls nearer to an image: each is among the nearest of its camera '
    'and chooses the image likewise.',
)
# Name of a picture -> its heading and explanation in a report
EXPLANATIONS = {
    'patches': (
        'Learned patches',
        'Where the patch generation network (section 3.1) looks at an image, and what lies there; Figure 6 of the '
        'paper. It starts at equal stripes and learns affine boxes, which may turn and reach over the edge.',
    ),
    'neighbours': (
        'Nearest neighbours in the memory bank',
        'For each patch of an image the nearest patches of all training images, which PEDAL (section 3.2) draws it '
        'to, and for comparison the nearest whole images; Figure 3 of the paper.',
    ),
    'mining': (
        'Cyclic ranking',
        'The hard negatives that IPFL (section 3.3) pushes an image from, mined without labels; Figure 4 of the '
        'paper. A nearer image is rejected when the anchor is among its own r nearest: both may be one person.',
    ),
    'ranking': (
        'Rankings',
        'Queries of the test and the gallery images nearest to them. Labels are used for these frames and the '
        'figures above only.',
    ),
}
