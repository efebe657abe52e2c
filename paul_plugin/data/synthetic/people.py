"""The people of a site and the wardrobe that they share."""

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from .domains import MAX_PID, RGB, Domain, Share
from .streams import Stream, random_stream

# what a person may wear at any site, each with its share
SHOE_KINDS = (('shoe', 4), ('boot', 1))
BAG_KINDS = (('backpack', 2), ('shoulder', 2), ('handheld', 1))
HAIR_KINDS = (('short', 3), ('long', 3), ('bun', 1), ('cap', 1))
SHOE_COLOURS = ((32, 32, 36), (228, 228, 226), (112, 76, 52), (124, 48, 50), (54, 66, 104), (130, 130, 134))
BAG_COLOURS = ((36, 38, 46), (150, 48, 50), (58, 84, 140), (150, 106, 62), (84, 118, 78), (196, 186, 168))
HAIR_COLOURS = ((30, 26, 26), (74, 50, 36), (126, 88, 54), (196, 166, 104), (150, 148, 146))
SKINS = ((236, 200, 174), (214, 168, 134), (172, 122, 88), (112, 76, 56))


class Piece(NamedTuple):
    """One item of a site's wardrobe, shared by all people who wear it.

    Attributes:
        kind: such as 'coat', one of those of the domain or of this file.
        pattern: such as 'checks'.
        colour: of the cloth.
        second: colour of stripes, logo, lower block, or of the shirt under an open jacket.
        period: of the pattern, canvas pixels.
    """

    kind: str
    pattern: str
    colour: RGB
    second: RGB
    period: int


class Person(NamedTuple):
    """Who somebody is: five pieces of the wardrobe, and a body.

    Attributes:
        upper: the upper garment.
        lower: the lower garment.
        shoes: shoes or boots.
        bag: a bag or `NO_BAG`.
        hair: hair, or a cap over it.
        skin: its colour.
        height: share of the tallest person's.
        build: width of the body, 1 = average.
        legs: their length, share of the height.
    """

    upper: Piece
    lower: Piece
    shoes: Piece
    bag: Piece
    hair: Piece
    skin: RGB
    height: float
    build: float
    legs: float


PIECES = Person._fields[:5]
NO_BAG = Piece('none', 'plain', (0, 0, 0), (0, 0, 0), 1)


def _pieces(
    rng: np.random.Generator,
    count: int,
    kinds: tuple[Share, ...],
    colours: tuple[RGB, ...],
    patterns: tuple[Share, ...] = (('plain', 1),),
) -> list[Piece]:
    """Draws `count` items that differ in kind, pattern or base colour."""
    choices = list(product(kinds, patterns, colours))
    shares = np.array([kind[1] * pattern[1] for kind, pattern, _ in choices])
    pieces = []
    for k in rng.choice(len(choices), count, replace=False, p=shares / shares.sum()):
        (kind, _), (pattern, _), colour = choices[k]
        # the second colour is one of the half of the palette that contrasts most
        others = sorted(colours, key=lambda other: -math.dist(other, colour))[: max(1, len(colours) // 2)]
        second = others[rng.integers(len(others))]
        colour = tuple(int(c) for c in np.clip(np.array(colour) + rng.integers(-8, 9, 3), 0, 255))
        pieces.append(Piece(kind, pattern, colour, second, int(rng.integers(12, 23))))
    return pieces


def _wardrobe(domain: Domain, rng: np.random.Generator) -> list[list[Piece]]:
    """The items of each of `PIECES`."""
    return [
        _pieces(rng, domain.uppers, domain.upper_kinds, domain.upper_colours, domain.upper_patterns),
        _pieces(rng, domain.lowers, domain.lower_kinds, domain.lower_colours, domain.lower_patterns),
        _pieces(rng, domain.shoes, SHOE_KINDS, SHOE_COLOURS),
        [NO_BAG, *_pieces(rng, domain.bags, BAG_KINDS, BAG_COLOURS)],
        _pieces(rng, domain.hairs, HAIR_KINDS, HAIR_COLOURS),
    ]


def _outfits(domain: Domain, wardrobe: list[list[Piece]], rng: np.random.Generator) -> np.ndarray:
    """(MAX_PID, 5) int64: which item of each of `PIECES` a person wears; any two people differ in `pieces_apart`."""
    tries = 20 * MAX_PID
    draws = []
    for items in wardrobe:
        share = np.arange(1, len(items) + 1) ** -domain.popularity
        if items[0] is NO_BAG:
            share[0] = share[1:].sum() * (1 / domain.bag_share - 1)
        draws.append(rng.choice(len(items), tries, p=share / share.sum()))
    taken = np.empty((0, len(PIECES)), int)
    for draw in np.stack(draws, 1):
        if ((taken != draw).sum(1) >= domain.pieces_apart).all():
            taken = np.vstack([taken, draw])
        if len(taken) == MAX_PID:
            return taken
    raise ValueError(
        f'the wardrobe dresses only {len(taken)} people that differ in pieces_apart='
        f'{domain.pieces_apart} pieces, must be {MAX_PID}; give the domain more garments'
    )


@lru_cache(maxsize=8)
def people(domain: Domain, seed: int) -> tuple[Person, ...]:
    """All people of a domain, drawn once.

    All ids are always drawn, so that a person does not depend on how many are rendered.

    Returns:
        `MAX_PID` people; the one with id `pid` is entry `pid - 1`.

    Raises:
        ValueError: if the domain has too few garments to tell so many people apart.

    Example:
        >>> people(DOMAINS['source'], 0)[0].upper.kind
        't-shirt'
    """
    wardrobe = _wardrobe(domain, random_stream(domain, seed, Stream.WARDROBE))
    rng = random_stream(domain, seed, Stream.PEOPLE)
    return tuple(
        Person(
            *(items[k] for items, k in zip(wardrobe, outfit)),
            SKINS[rng.integers(len(SKINS))],
            rng.uniform(*domain.height),
            rng.uniform(*domain.build),
            rng.uniform(0.45, 0.5),
        )
        for outfit in _outfits(domain, wardrobe, rng)
    )
