"""The picture of cyclic ranking: anchors, surrogates, mined negatives and rejected candidates, the paper's Figure 4."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ..data.images import read_image
from ..method.miner import CyclicRankingMiner
from ..method.surrogate import PairTransform
from ..runtime import randomness
from .sheet import BLUE, GREEN, GREY, Cell, Colour, Heading, sheet, to_height


class Ranks(NamedTuple):
    """Who is how near to whom among the images of a batch.

    Attributes:
        distances: (B, B), Euclidean.
        ranks: (B, B) int64; [i, j] is the place of j in i's list of the other images, from 1 on; 0 where i = j.
    """

    distances: Tensor
    ranks: Tensor


def rank_all(descriptors: Tensor) -> Ranks:
    """Ranks of all images of a batch in the lists of all others; equal distances rank by index.

    Args:
        descriptors: (B, E).

    Example:
        >>> rank_all(torch.tensor([[0.0], [1.0], [1.1]])).ranks
        tensor([[0, 1, 2],
                [2, 0, 1],
                [2, 1, 0]])
    """
    wide = descriptors.double()
    distances = torch.cdist(wide, wide, compute_mode='donot_use_mm_for_euclid_dist')
    order = distances.clone().fill_diagonal_(-1).argsort(dim=1, stable=True)  # an image is the first of its own list
    return Ranks(distances, order.argsort(dim=1))


def rejected(ranks: Tensor, anchor: int, negative: int, tried: int | None = None) -> list[int]:
    """The candidates that stand before the mined negative in the anchor's list: the cycle led back from them.

    Args:
        ranks: (B, B), of `rank_all`.
        anchor: the image.
        negative: the mined one, -1 for none: then all candidates that were tried.
        tried: how many candidates an anchor tries; None for all.

    Returns:
        Their indices, nearest first.
    """
    own = ranks[anchor]
    last = own[negative].item() - 1 if negative >= 0 else min(tried or len(own), len(own) - 1)
    return own.argsort()[1 : last + 1].tolist()


class Mining(NamedTuple):
    """What cyclic ranking does in a batch.

    Attributes:
        images: the B images as the network was shown them, without the last stage that makes tensors of them.
        surrogates: theirs.
        ranks: of the images among each other.
        to_surrogates: (B,), the distance of an image from its surrogate.
        negatives: the mined negative of each image, -1 for none.
        rejected: of each image, the candidates that the cycle led back from, nearest first.
        r: of the miner.
    """

    images: list[Image.Image]
    surrogates: list[Image.Image]
    ranks: Ranks
    to_surrogates: Tensor
    negatives: list[int]
    rejected: list[list[int]]
    r: int


@torch.no_grad()
def mine_batch(
    model: nn.Module,
    pair: PairTransform,
    paths: Sequence[str],
    miner: CyclicRankingMiner,
    batch_size: int,
    first: Sequence[str] = (),
    seed: int = 0,
) -> Mining:
    """Draws a batch of training images and mines in it.

    Descriptors are those of eval mode; a training step has those of training mode.

    Args:
        model: a PatchNet in eval mode.
        pair: the transform of training images.
        paths: the training images, of which a batch is drawn.
        miner: of the run.
        batch_size: B, images of the batch.
        first: training images that come first in it.
        seed: of batch, augmentation and surrogates; no other random numbers are touched.

    Raises:
        BadImage: for a file that cannot be read.
    """
    with randomness.seeded(seed, randomness.PICTURES):
        others = [path for path in paths if path not in first]
        order = torch.randperm(len(others))[: max(0, batch_size - len(first))].tolist()
        images = [pair.image_stage(read_image(path)) for path in (*first, *(others[index] for index in order))]
        surrogates = [pair.surrogate(image) for image in images]
        tensors = [torch.stack([pair.tensor_stage(image) for image in part]) for part in (images, surrogates)]
    device = next(model.parameters()).device
    real, surrogate = (model(part.to(device)).float().cpu() for part in tensors)
    ranks = rank_all(real)
    negatives = miner(real).tolist()
    passed = [
        rejected(ranks.ranks, anchor, negative, miner.max_candidates) for anchor, negative in enumerate(negatives)
    ]
    return Mining(images, surrogates, ranks, (real - surrogate).norm(dim=1), negatives, passed, miner.r)


def draw_mining(
    mining: Mining, number: int = 6, centroid: bool = False, pixels: int = 160, most: int = 7
) -> Image.Image:
    """Anchors, the surrogate of each, its mined negative and who was passed over.

    Args:
        mining: of a batch.
        number: how many of the batch are drawn as anchors, from the first on.
        centroid: the run mines by centroids, and the picture says that it does not.
        pixels: height of an image in the picture.
        most: rejected candidates that are drawn for an anchor.
    """
    rows = [_row(mining, anchor, pixels, most) for anchor in range(min(number, len(mining.images)))]
    note = ' The run itself mines by centroids; here is the mining of the paper, by descriptors.' if centroid else ''
    found = sum(negative >= 0 for negative in mining.negatives)
    headings = ['anchor', 'surrogate', 'negative', 'rejected before it, nearest first']
    return sheet(
        'Cyclic ranking: the hard negatives of a batch',
        f'{len(rows)} of the {len(mining.images)} images of a batch; {found} have a mined negative. Below an image: '
        "its distance from the anchor; its rank among the images nearest to the anchor; the anchor's rank among those "
        f'nearest to it. The negative is the nearest image whose back rank is over r = {mining.r}; nearer ones are '
        f'rejected, they may show the same person.{note}',
        rows,
        list(map(Heading, headings)),
        groups=[1, 2, 3],
    )


def _row(mining: Mining, anchor: int, pixels: int, most: int) -> list[Cell]:
    """An anchor, its surrogate, its negative, and at most so many rejected candidates."""

    def candidate(other: int, frame: Colour) -> Cell:
        distances, ranks = mining.ranks
        there, back = ranks[anchor, other], ranks[other, anchor]
        caption = f'{distances[anchor, other]:.3f}\nrank {there}\nback rank {back}'
        return Cell(to_height(mining.images[other], pixels), caption, frame)

    negative, passed = mining.negatives[anchor], mining.rejected[anchor]
    cells = [
        Cell(to_height(mining.images[anchor], pixels)),
        Cell(to_height(mining.surrogates[anchor], pixels), f'{mining.to_surrogates[anchor]:.3f}', GREEN),
        candidate(negative, BLUE) if negative >= 0 else Cell(None, 'none passes'),
        *(candidate(other, GREY) for other in passed[:most]),
    ]
    if len(passed) > most:
        cells.append(Cell(None, f'and {len(passed) - most} more'))
    return cells
