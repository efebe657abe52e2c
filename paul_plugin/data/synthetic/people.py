"""The people of a site and the wardrobe that they share."""

import math
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from .domains import _PEOPLE, _WARDROBE, MAX_PID, RGB, Domain, _checked, _rng

SHOE_COLOURS = ((32, 32, 36), (228, 228, 226), (112, 76, 52), (124, 48, 50), (54, 66, 104), (130, 130, 134))
BAG_COLOURS = ((36, 38, 46), (150, 48, 50), (58, 84, 140), (150, 106, 62), (84, 118, 78), (196, 186, 168))
HAIR_COLOURS = ((30, 26, 26), (74, 50, 36), (126, 88, 54), (196, 166, 104), (150, 148, 146))
SKINS = ((236, 200, 174), (214, 168, 134), (172, 122, 88), (112, 76, 56))


class Piece(NamedTuple):
    """One item of a site's wardrobe, shared by all people who wear it."""

    kind: str
    pattern: str
    colour: RGB
    second: RGB  # of stripes, logo, lower block, or of the shirt under an open jacket
    period: int  # of the pattern, canvas pixels


class Person(NamedTuple):
    upper: Piece
    lower: Piece
    shoes: Piece
    bag: Piece
    hair: Piece
    skin: RGB
    height: float
    build: float
    legs: float  # share of the height


PIECES = Person._fields[:5]
NO_BAG = Piece('none', 'plain', (0, 0, 0), (0, 0, 0), 1)


def _pieces(rng, count: int, kinds, colours, patterns=(('plain', 1),)) -> list[Piece]:
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


@lru_cache(maxsize=8)
def _people(domain: Domain, seed: int) -> tuple[Person, ...]:
    rng = _rng(domain, seed, _WARDROBE)
    wardrobe = [
        _pieces(rng, domain.uppers, domain.upper_kinds, domain.upper_colours, domain.upper_patterns),
        _pieces(rng, domain.lowers, domain.lower_kinds, domain.lower_colours, domain.lower_patterns),
        _pieces(rng, domain.shoes, (('shoe', 4), ('boot', 1)), SHOE_COLOURS),
        [
            NO_BAG,
            *_pieces(rng, domain.bags, (('backpack', 2), ('shoulder', 2), ('handheld', 1)), BAG_COLOURS),
        ],
        _pieces(
            rng,
            domain.hairs,
            (('short', 3), ('long', 3), ('bun', 1), ('cap', 1)),
            HAIR_COLOURS,
        ),
    ]
    rng = _rng(domain, seed, _PEOPLE)
    tries = 20 * MAX_PID
    draws = []
    for items in wardrobe:
        share = np.arange(1, len(items) + 1) ** -domain.popularity
        if items[0] is NO_BAG:
            share[0] = share[1:].sum() * (1 / domain.bag_share - 1)
        draws.append(rng.choice(len(items), tries, p=share / share.sum()))
    # all ids are always drawn, so that a person does not depend on how many are rendered
    taken = np.empty((0, len(PIECES)), int)
    for draw in np.stack(draws, 1):
        if ((taken != draw).sum(1) >= domain.pieces_apart).all():
            taken = np.vstack([taken, draw])
        if len(taken) == MAX_PID:
            break
    else:
        raise ValueError(
            f'the wardrobe dresses only {len(taken)} people that differ in pieces_apart='
            f'{domain.pieces_apart} pieces, must be {MAX_PID}; give the domain more garments'
        )
    return tuple(
        Person(
            *(items[k] for items, k in zip(wardrobe, row)),
            SKINS[rng.integers(len(SKINS))],
            rng.uniform(*domain.height),
            rng.uniform(*domain.build),
            rng.uniform(0.45, 0.5),
        )
        for row in taken
    )


def people(domain: str, seed: int) -> tuple[Person, ...]:
    """All people of a domain; the person with id `pid` is entry `pid - 1`. Raises ValueError as render()."""
    return _people(_checked(domain, seed), seed)
