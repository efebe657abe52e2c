"""Renders two small synthetic camera networks, each as a data set in a benchmark's own layout."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

VERSION = 1  # raise it whenever the same parameters give other pixels
MAX_PID = 1501  # the largest id that the host's Market1501 class accepts
MAX_IMAGES_PER_ID = 600  # keeps the running frame number within Market-1501's six digits
SIZE = (64, 128)  # width, height of an image in pixels
CANVAS = (128, 256)  # everything is drawn at twice that size and averaged down
MIDDLE = CANVAS[0] / 2  # where a person stands
SCENE = (320, 300)  # what one camera sees behind the people, in canvas pixels

RGB = tuple[int, int, int]
Share = tuple[str, float]  # a name and how often it occurs, relative to the others
Span = tuple[float, float]  # lowest and highest value, drawn uniformly between


@dataclass(frozen=True)
class Domain:
    """One site with its own people and cameras; every field is a difficulty knob."""

    index: int  # tells the domains' random streams apart
    # people
    upper_kinds: tuple[Share, ...]  # shares of 't-shirt', 'top', 'long sleeve', 'jacket', 'coat'
    lower_kinds: tuple[Share, ...]  # shares of 'trousers', 'shorts', 'skirt'
    upper_patterns: tuple[Share, ...]  # of 'plain', 'horizontal', 'vertical', 'checks', 'logo', 'blocks'
    lower_patterns: tuple[Share, ...]  # the same for lower garments
    upper_colours: tuple[RGB, ...]
    lower_colours: tuple[RGB, ...]
    uppers: int  # how many different upper garments exist; fewer = more sharing = harder
    lowers: int  # ... lower garments
    shoes: int  # ... pairs of shoes, at most 12
    bags: int  # ... bags, at most 18
    hairs: int  # ... hair styles with a colour, at most 20
    bag_share: float  # share of people who carry a bag, above 0
    popularity: float  # Zipf exponent: 0 = all garments equally common, 1 = a few are worn by many
    pieces_apart: int  # in how many of the 5 pieces any two people differ at least, 1..5
    height: Span  # a person's height, as a share of the tallest
    build: Span  # a person's width, 1 = average
    # pose and detector box
    stride: float  # largest leg angle from the vertical, degrees
    facing_spread: float  # sd of the walking direction about the camera's usual one, degrees
    scale: Span  # size of the person relative to the box
    shift: float  # sd of the box's shift, image pixels
    rotation: float  # sd of the tilt, degrees
    # cameras
    cameras: int  # 2..6
    appearances: Span  # under how many cameras a person is seen (whole numbers, 2 or more)
    backgrounds: tuple[tuple[str, str], ...]  # (wall, ground) per camera, from WALLS and GROUNDS
    wall_colours: tuple[RGB, ...]
    ground_colours: tuple[RGB, ...]
    background_shift: float  # largest sideways shift of the background, image pixels, at most 48
    white: tuple[float, float, float]  # gain of red, green, blue common to all cameras of the site
    cast: float  # a camera's own gains deviate from it by at most this share
    exposure: Span  # a camera's brightness factor
    exposure_jitter: float  # sd of an image's brightness about its camera's, share
    contrast: Span  # a camera's contrast factor about mid-grey
    dapple: float  # sd of uneven light within an image, share
    resolution: Span  # a camera's effective resolution, share of the image's pixels per side
    blur: Span  # a camera's gaussian blur, radius in image pixels
    noise: Span  # a camera's sensor noise, sd in grey levels of 255
    occlusion: float  # share of images with something in front of the person


# fmt: off
DOMAINS = {
    # summer in a sunny pedestrian precinct: bright, patterned, short garments
    'source': Domain(
        index=1,
        upper_kinds=(('t-shirt', 5), ('top', 1), ('long sleeve', 2), ('jacket', 1)),
        lower_kinds=(('trousers', 3), ('shorts', 3), ('skirt', 2)),
        upper_patterns=(('plain', 3), ('horizontal', 2), ('vertical', 1), ('checks', 1), ('logo', 2),
                        ('blocks', 1)),
        lower_patterns=(('plain', 6), ('vertical', 1), ('checks', 1), ('blocks', 1)),
        upper_colours=((236, 236, 230), (214, 52, 50), (242, 196, 54), (64, 142, 208), (92, 176, 86),
                       (238, 138, 170), (38, 40, 52), (240, 132, 44), (128, 200, 200), (150, 96, 170)),
        lower_colours=((72, 98, 150), (40, 44, 60), (206, 190, 158), (226, 224, 216), (150, 60, 70),
                       (104, 124, 84), (140, 140, 146)),
        uppers=24, lowers=14, shoes=5, bags=7, hairs=8,
        bag_share=0.45, popularity=0.5, pieces_apart=2, height=(0.86, 1.0), build=(0.85, 1.2),
        stride=28, facing_spread=50, scale=(1.1, 1.3), shift=2.0, rotation=2.0,
        cameras=6, appearances=(3, 5),
        backgrounds=(('plain', 'tiles'), ('hedge', 'grass'), ('windows', 'plain'), ('plain', 'grass'),
                     ('panels', 'kerb'), ('hedge', 'tiles')),
        wall_colours=((214, 200, 172), (196, 202, 206), (222, 214, 200), (178, 170, 150)),
        ground_colours=((190, 182, 168), (168, 160, 148), (204, 196, 184)),
        background_shift=24, white=(1.03, 1.0, 0.96), cast=0.06,
        exposure=(0.88, 1.12), exposure_jitter=0.06, contrast=(0.9, 1.1), dapple=0.06,
        resolution=(0.7, 1.0), blur=(0.2, 0.6), noise=(2, 6), occlusion=0.12),
    # winter at a station: dark, long, mostly plain garments under cooler, poorer cameras
    'target': Domain(
        index=2,
        upper_kinds=(('t-shirt', 1), ('long sleeve', 3), ('jacket', 4), ('coat', 3)),
        lower_kinds=(('trousers', 7), ('shorts', 0.5), ('skirt', 1.5)),
        upper_patterns=(('plain', 5), ('horizontal', 1), ('vertical', 0.5), ('checks', 1.5), ('logo', 1),
                        ('blocks', 1.5)),
        lower_patterns=(('plain', 6), ('checks', 1), ('blocks', 1)),
        upper_colours=((34, 36, 44), (66, 70, 78), (44, 62, 104), (120, 40, 48), (92, 76, 58), (70, 88, 62),
                       (150, 152, 154), (206, 200, 188), (190, 150, 70), (60, 116, 124)),
        lower_colours=((30, 32, 38), (52, 66, 98), (84, 80, 78), (110, 92, 72), (56, 70, 60),
                       (140, 140, 140)),
        uppers=24, lowers=12, shoes=5, bags=8, hairs=8,
        bag_share=0.6, popularity=0.5, pieces_apart=2, height=(0.84, 1.0), build=(0.9, 1.3),
        stride=24, facing_spread=50, scale=(1.05, 1.25), shift=2.5, rotation=2.5,
        cameras=6, appearances=(4, 6),
        backgrounds=(('bricks', 'plain'), ('panels', 'tiles'), ('plain', 'kerb'), ('windows', 'tiles'),
                     ('bricks', 'kerb'), ('panels', 'plain')),
        wall_colours=((120, 126, 134), (140, 124, 112), (150, 154, 152), (106, 114, 124)),
        ground_colours=((106, 108, 110), (124, 124, 122), (140, 138, 138)),
        background_shift=24, white=(0.96, 1.0, 1.05), cast=0.04,
        exposure=(0.9, 1.1), exposure_jitter=0.06, contrast=(0.85, 1.05), dapple=0.06,
        resolution=(0.6, 0.95), blur=(0.3, 0.8), noise=(3, 8), occlusion=0.15),
}
# fmt: on


class Layout(NamedTuple):
    """Where a benchmark keeps its images and how it names them."""

    inner: str  # the folder inside the data set's folder
    train: str
    query: str
    gallery: str
    name: str
    lists: bool = False  # MSMT17: ids restart at 0 in both halves, and text files say which image is which


LAYOUTS = {
    'market1501': Layout(
        'Market-1501-v15.09.15',
        'bounding_box_train',
        'query',
        'bounding_box_test',
        '{pid:04d}_c{camera}s1_{frame:06d}_{box:02d}.jpg',
    ),
    'dukemtmcreid': Layout(
        'DukeMTMC-reID',
        'bounding_box_train',
        'query',
        'bounding_box_test',
        '{pid:04d}_c{camera}_f{frame:07d}.jpg',
    ),
    'msmt17': Layout(
        'MSMT17_V1',
        'train',
        'test',
        'test',
        '{pid:04d}/{pid:04d}_{index:03d}_{camera:02d}_0303morning_{frame:04d}_0.jpg',
        lists=True,
    ),
}


# ---------------------------------------------------------------- people

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

# the first word of a random stream's key after domain and seed, so that no two purposes share a stream
_WARDROBE, _PEOPLE, _PLAN, _CAMERA, _IMAGE = range(1, 6)


def _rng(domain: Domain, seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((domain.index, seed, *key)))


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


# ---------------------------------------------------------------- drawing a person


def _tone(colour: RGB, factor: float) -> RGB:
    return tuple(min(255, int(c * factor)) for c in colour)


@lru_cache(maxsize=512)
def _cloth(piece: Piece, shade: float, back: bool = False) -> Image.Image:
    """The piece's colour and pattern on a whole canvas, to be cut out along a body part."""
    width, height = CANVAS
    cloth = Image.new('RGBA', CANVAS, _tone(piece.colour, shade))
    draw = ImageDraw.Draw(cloth)
    second = _tone(piece.second, shade)
    thick = piece.period // 2
    if piece.pattern in ('horizontal', 'checks'):
        for y in range(0, height, piece.period):
            draw.rectangle((0, y, width, y + thick), fill=second)
    if piece.pattern in ('vertical', 'checks'):
        for x in range(3, width, piece.period):
            draw.rectangle((x, 0, x + thick - 2, height), fill=second)
    if piece.pattern == 'blocks':
        # the seam lies at the waist's height for tops and above the knee for trousers
        for top, bottom in ((88, 150), (190, height)):
            draw.rectangle((0, top, width, bottom), fill=second)
    if piece.pattern == 'logo' and not back:
        draw.rectangle((64 - thick, 74, 64 + thick, 74 + piece.period), fill=second)
    return cloth


def _limb(points: list, widths: list[float]) -> list[tuple[float, float]]:
    """The outline of a limb through its joints with a half width at each."""
    left, right = [], []
    for k, ((x, y), half) in enumerate(zip(points, widths)):
        (ax, ay), (bx, by) = points[max(k - 1, 0)], points[min(k + 1, len(points) - 1)]
        length = math.hypot(bx - ax, by - ay) or 1
        dx, dy = half * (by - ay) / length, half * (ax - bx) / length
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return left + right[::-1]


def _between(a, b, share: float) -> tuple[float, float]:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


class Figure:
    """A person in one pose, drawn upright on a transparent canvas, `body`.

    Args:
        person: who it is.
        facing: walking direction in radians: 0 towards the camera, pi/2 to the right, pi away.
        swing: angle of the near leg from the vertical, radians.
    """

    def __init__(self, person: Person, facing: float, swing: float):
        self.person, self.swing = person, swing
        self.toward, self.across = math.cos(facing), math.sin(facing)
        self.body = Image.new('RGBA', CANVAS)
        self.pen = ImageDraw.Draw(self.body)
        foot = CANVAS[1] - 6.0
        self.tall = 236 * person.height
        self.top = foot - self.tall
        self.shoulder, self.hip = self.top + 0.175 * self.tall, foot - self.tall * person.legs
        breadth = 0.6 + 0.4 * abs(self.toward)  # seen from the side a person is narrower
        padding = 1.08 if person.upper.kind in ('jacket', 'coat') else 1
        self.wide = 0.108 * self.tall * person.build * breadth * padding
        self.waist = 0.085 * self.tall * person.build * breadth
        self._draw()

    def _draw(self) -> None:
        bag, back = self.person.bag.kind, self.toward < -0.2
        if bag == 'backpack' and not back:
            self._backpack(back)
        self._leg(-1, 0.72)
        self._leg(1, 0.94)
        self._arm(self._arm_joints(-1), 0.75)
        self._trunk()
        if bag == 'backpack' and back:
            self._backpack(back)
        if bag == 'shoulder':
            self._shoulder_bag()
        self._head()
        near_arm = self._arm_joints(1)
        self._arm(near_arm, 0.84)
        if bag == 'handheld':
            self._handheld_bag(*near_arm[2])

    def _wear(self, piece: Piece, polygon: list, shade: float = 1.0, back: bool = False) -> None:
        mask = Image.new('L', CANVAS)
        ImageDraw.Draw(mask).polygon(polygon, fill=255)
        self.body.paste(_cloth(piece, shade, back), (0, 0), mask)

    def _bare(self, polygon: list, shade: float) -> None:
        self.pen.polygon(polygon, fill=_tone(self.person.skin, shade))

    def _hang(self, start, bones: tuple[float, float], angles: tuple[float, float], out: float) -> list:
        """The joints of two bones hanging from `start`; `out` spreads them as seen from the front."""
        points = [start]
        for bone, angle in zip(bones, angles):
            x, y = points[-1]
            points.append(
                (
                    x + bone * (self.across * math.sin(angle) + out * abs(self.toward)),
                    y + bone * math.cos(angle),
                )
            )
        return points

    def _leg(self, side: int, shade: float) -> None:
        person, angle = self.person, side * self.swing
        start = (MIDDLE + side * self.waist * 0.5 * abs(self.toward), self.hip)
        bone = self.tall * person.legs / 2 - 4
        bend = max(0.0, -angle) * 1.1  # of the rear leg's knee
        joints = self._hang(start, (bone, bone), (angle, angle - bend), side * 0.03)
        thigh, knee, ankle = (share * (self.tall * person.build) for share in (0.052, 0.036, 0.024))
        if person.lower.kind == 'trousers':
            self._wear(person.lower, _limb(joints, [thigh + 1.5, knee + 1.5, ankle + 1.5]), shade)
        else:
            self._bare(_limb(joints, [thigh, knee, ankle]), shade)
        if person.lower.kind == 'shorts':
            self._wear(person.lower, _limb(joints[:2], [thigh + 3, knee + 4]), shade)
        if person.shoes.kind == 'boot':
            self._wear(person.shoes, _limb([_between(*joints[1:], 0.4), joints[2]], [knee, ankle + 2]), shade)
        x, y = joints[2]
        toe = 9 * self.across
        self.pen.ellipse(
            (x - 7 + min(toe, 0), y - 4, x + 7 + max(toe, 0), y + 7), fill=_tone(person.shoes.colour, shade)
        )

    def _arm_joints(self, side: int) -> list:
        angle = -side * self.swing * 0.9
        start = (
            MIDDLE + side * (self.wide - 0.02 * self.tall) * abs(self.toward),
            self.shoulder + 0.03 * self.tall,
        )
        return self._hang(start, (0.17 * self.tall, 0.15 * self.tall), (angle, angle + 0.35), side * 0.13)

    def _arm(self, joints: list, shade: float) -> None:
        upper = self.person.upper
        widths = [0.034 * self.tall * self.person.build, 0.027 * self.tall, 0.02 * self.tall]
        x, y = joints[2]
        self.pen.ellipse((x - 5, y - 5, x + 5, y + 6), fill=_tone(self.person.skin, shade))
        if upper.kind in ('t-shirt', 'top'):
            self._bare(_limb(joints, widths), shade)
        else:
            self._wear(upper, _limb(joints, [width + 2 for width in widths]), shade)
        if upper.kind == 't-shirt':
            sleeve = [joints[0], _between(*joints[:2], 0.75)]
            self._wear(upper, _limb(sleeve, [widths[0] + 1, widths[1] + 3]), shade)

    def _trunk(self) -> None:
        upper, wide, waist, shoulder = self.person.upper, self.wide, self.waist, self.shoulder
        if self.person.lower.kind == 'skirt':
            hem = self.hip + 0.2 * self.tall
            self._wear(self.person.lower, _upright([self.hip - 8, hem], [waist, waist * 1.5]), 0.97)
        hem = self.hip + self.tall * {'coat': 0.2, 'jacket': 0.05}.get(upper.kind, 0.02)
        flare = waist * {'coat': 1.3, 'jacket': 1.15}.get(upper.kind, 1.05)
        strap = 0.55 if upper.kind == 'top' else 1
        self._wear(
            upper,
            _upright(
                [shoulder - 5, shoulder + 5, shoulder + 0.1 * self.tall, hem],
                [0.35 * wide, wide * strap, wide * 0.95, flare],
            ),
            back=self.toward < 0,
        )
        if upper.kind in ('jacket', 'coat') and self.toward > 0.25:
            shirt = _upright([shoulder - 4, hem], [wide * 0.32, 3], MIDDLE + self.across * wide * 0.5)
            self.pen.polygon(shirt, fill=upper.second)
        if self.person.bag.kind == 'backpack' and self.toward > 0.25:
            for x in (MIDDLE - 0.6 * wide, MIDDLE + 0.6 * wide):
                strap = (x, shoulder, x, shoulder + 0.17 * self.tall)
                self.pen.line(strap, fill=self.person.bag.colour, width=6)

    def _head(self) -> None:
        hair, skin, pen = self.person.hair, self.person.skin, self.pen
        x, top, rx, ry = MIDDLE + 3 * self.across, self.top, 0.052 * self.tall, 0.07 * self.tall
        y = top + ry
        pen.rectangle((x - 0.5 * rx, y, x + 0.5 * rx, top + 0.18 * self.tall), fill=_tone(skin, 0.8))
        if hair.kind == 'long':
            left, right = x - 1.15 * rx - 4 * max(self.across, 0), x + 1.15 * rx + 4 * max(-self.across, 0)
            pen.rounded_rectangle((left, y - 0.3 * ry, right, top + 0.22 * self.tall), 6, fill=hair.colour)
        if hair.kind == 'bun':
            bun = x - 8 * self.across
            pen.ellipse((bun - 6, top - 8, bun + 6, top + 6), fill=hair.colour)
        pen.ellipse((x - rx, top, x + rx, top + 2 * ry), fill=hair.colour)
        if self.toward > -0.5:
            # the face shows less of itself the further the head turns away
            shown = rx * (0.45 + 0.4 * max(self.toward, 0))
            face = x + self.across * (rx - shown)
            pen.ellipse((face - shown, top + 0.5 * ry, face + shown, top + 2.05 * ry), fill=skin)
        if hair.kind == 'cap':
            cap, brim = _tone(hair.second, 0.9), x + self.across * rx
            pen.pieslice((x - rx - 1, top - 2, x + rx + 1, top + 1.9 * ry), 180, 360, fill=cap)
            if self.toward > -0.5:
                pen.ellipse((brim - rx, y - 3, brim + rx, y + 2), fill=_tone(cap, 0.7))

    def _backpack(self, back: bool) -> None:
        colour, top, bottom = self.person.bag.colour, self.shoulder, self.hip
        x, half = MIDDLE - self.across * self.wide, (0.8 if back else 0.6) * self.wide
        self.pen.rounded_rectangle(
            (x - half, top + 2, x + half, bottom - 8), 8, fill=colour, outline=_tone(colour, 0.65)
        )
        if back:
            self.pen.rectangle(
                (x - half * 0.6, (top + bottom) / 2, x + half * 0.6, bottom - 14), fill=_tone(colour, 0.65)
            )

    def _shoulder_bag(self) -> None:
        colour, dark = self.person.bag.colour, _tone(self.person.bag.colour, 0.65)
        x = MIDDLE + self.wide * 0.95 * (1 if self.toward >= 0 else -1)
        self.pen.line((2 * MIDDLE - x, self.shoulder, x, self.hip - 14), fill=dark, width=5)
        self.pen.rounded_rectangle((x - 13, self.hip - 18, x + 13, self.hip + 16), 4, fill=colour, outline=dark)

    def _handheld_bag(self, x: float, y: float) -> None:
        colour = self.person.bag.colour
        self.pen.rectangle((x - 11, y + 2, x + 11, y + 30), fill=colour, outline=_tone(colour, 0.6))


def _upright(heights: list[float], widths: list[float], x: float = MIDDLE) -> list[tuple[float, float]]:
    """The outline of something symmetric about a vertical axis with a half width at each height."""
    return _limb([(x, y) for y in heights], widths)


# ---------------------------------------------------------------- cameras


class Camera(NamedTuple):
    scene: Image.Image
    facing: float  # the usual walking direction, radians
    pitch: float  # height of a person seen from above, as a share of the height seen level
    gain: np.ndarray  # of red, green, blue, brightness included
    contrast: float
    resolution: float
    blur: float
    noise: float


@lru_cache(maxsize=32)
def _camera(domain: Domain, seed: int, number: int) -> Camera:
    rng = _rng(domain, seed, _CAMERA, number)
    gain = np.array(domain.white) * rng.uniform(*domain.exposure) * (1 + rng.uniform(-1, 1, 3) * domain.cast)
    return Camera(
        _scene(domain, rng, *domain.backgrounds[(number - 1) % len(domain.backgrounds)]),
        rng.uniform(-math.pi, math.pi),
        rng.uniform(0.94, 1.0),
        gain.astype(np.float32),
        rng.uniform(*domain.contrast),
        rng.uniform(*domain.resolution),
        rng.uniform(*domain.blur),
        rng.uniform(*domain.noise),
    )


def _scene(domain: Domain, rng, wall: str, ground: str) -> Image.Image:
    floor = int(rng.integers(120, 210))
    wall_colour = domain.wall_colours[rng.integers(len(domain.wall_colours))]
    ground_colour = domain.ground_colours[rng.integers(len(domain.ground_colours))]
    scene = Image.new('RGB', SCENE, wall_colour)
    draw = ImageDraw.Draw(scene)
    WALLS[wall](draw, rng, floor, wall_colour)
    draw.rectangle((0, floor, *SCENE), fill=ground_colour)
    GROUNDS[ground](draw, rng, floor, ground_colour)
    # large soft stains keep even a plain wall from being one colour
    stains = Image.fromarray(rng.normal(0, 9, (10, 10)).astype(np.float32))
    stains = np.asarray(stains.resize(SCENE, Image.Resampling.BICUBIC))[..., None]
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(1.5)), np.float32) + stains
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _plain_wall(draw, rng, floor, colour) -> None:
    draw.rectangle((0, floor - 14, SCENE[0], floor), fill=_tone(colour, 0.75))


def _bricks(draw, rng, floor, colour) -> None:
    for row, y in enumerate(range(0, floor, 12)):
        for x in range(-(row % 2) * 14, SCENE[0], 28):
            draw.rectangle((x, y, x + 26, y + 10), fill=_tone(colour, rng.uniform(0.7, 0.9)))


def _panels(draw, rng, floor, colour) -> None:
    for x in range(0, SCENE[0], 44):
        draw.rectangle((x, 0, x + 40, floor), fill=_tone(colour, rng.uniform(0.75, 1.1)))
        draw.line((x + 42, 0, x + 42, floor), fill=_tone(colour, 0.5), width=3)


def _windows(draw, rng, floor, colour) -> None:
    for x in range(10, SCENE[0], 70):
        glass = _tone((96, 124, 144), rng.uniform(0.6, 1.3))
        draw.rectangle((x, 12, x + 52, floor - 26), fill=glass, outline=_tone(colour, 0.5), width=4)
        draw.polygon([(x + 8, 16), (x + 24, 16), (x + 8, 60)], fill=_tone(glass, 1.35))


def _hedge(draw, rng, floor, colour) -> None:
    draw.rectangle((0, floor - 100, SCENE[0], floor), fill=(52, 80, 46))
    for x, y, r, light in zip(
        rng.integers(0, SCENE[0], 260),
        rng.integers(floor - 105, floor, 260),
        rng.integers(4, 12, 260),
        rng.uniform(0.6, 1.4, 260),
    ):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_tone((66, 100, 54), light))


def _plain_ground(draw, rng, floor, colour) -> None:
    draw.rectangle((0, floor, SCENE[0], floor + 4), fill=_tone(colour, 0.8))


def _tiles(draw, rng, floor, colour) -> None:
    line = _tone(colour, 0.78)
    for k in range(1, 7):
        y = floor + 3.2 * k * k
        draw.line((0, y, SCENE[0], y), fill=line, width=2)
    for x in range(-600, SCENE[0] + 600, 60):
        draw.line((SCENE[0] / 2 + (x - SCENE[0] / 2) * 0.4, floor, x, SCENE[1]), fill=line, width=2)


def _kerb(draw, rng, floor, colour) -> None:
    edge = floor + int(rng.integers(20, 50))
    draw.rectangle((0, edge, SCENE[0], edge + 8), fill=_tone(colour, 1.3))
    draw.rectangle((0, edge + 8, *SCENE), fill=_tone(colour, 0.65))


def _grass(draw, rng, floor, colour) -> None:
    edge = floor + 40
    draw.rectangle((0, floor, SCENE[0], edge), fill=(104, 134, 74))
    for x, y in zip(rng.integers(0, SCENE[0], 200), rng.integers(floor, edge, 200)):
        draw.line((x, y, x + 2, y - 7), fill=_tone((104, 134, 74), rng.uniform(0.7, 1.2)), width=2)


WALLS = {'plain': _plain_wall, 'bricks': _bricks, 'panels': _panels, 'windows': _windows, 'hedge': _hedge}
GROUNDS = {'plain': _plain_ground, 'tiles': _tiles, 'kerb': _kerb, 'grass': _grass}


def _occlude(canvas: Image.Image, domain: Domain, rng) -> None:
    """Puts a pole, a plant, the edge of a car or a passer-by's arm in front of the person."""
    draw = ImageDraw.Draw(canvas)
    width, height = CANVAS
    right = rng.random() < 0.5
    colour = domain.upper_colours[rng.integers(len(domain.upper_colours))]
    kind = rng.integers(4)
    if kind == 0:
        x = rng.integers(20, width - 20)
        draw.rectangle((x - 5, 0, x + 5, height), fill=(100, 102, 106))
    elif kind == 1:
        for x, y, light in zip(rng.integers(0, width, 70), rng.integers(205, height, 70), rng.uniform(0.6, 1.4, 70)):
            draw.ellipse((x - 7, y - 9, x + 7, y + 9), fill=_tone((62, 96, 52), light))
    elif kind == 2:
        reach = int(rng.integers(30, 70))
        x = width - reach if right else reach - width
        draw.rounded_rectangle((x, 180, x + width, height + 40), 14, fill=colour, outline=_tone(colour, 0.6), width=3)
        draw.rectangle((x + 10, 188, x + width - 10, 206), fill=(60, 70, 80))
    else:
        x = width - 14 if right else 14
        draw.polygon(_limb([(x, 50), (x + (6 if right else -6), 120), (x, 180)], [18, 14, 10]), fill=colour)


def _expose(image: Image.Image, camera: Camera, domain: Domain, rng) -> Image.Image:
    """What the camera makes of the light: lost resolution, blur, cast, contrast, uneven light, noise."""
    low = tuple(max(8, round(side * camera.resolution)) for side in SIZE)
    image = image.resize(low, Image.Resampling.BOX).resize(SIZE, Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(camera.blur))
    light = Image.fromarray(rng.normal(1, domain.dapple, (6, 3)).astype(np.float32))
    light = np.asarray(light.resize(SIZE, Image.Resampling.BICUBIC))[..., None]
    pixels = (np.asarray(image, np.float32) - 128) * camera.contrast + 128
    pixels *= light * camera.gain * rng.normal(1, domain.exposure_jitter)
    pixels += rng.standard_normal(pixels.shape, np.float32) * camera.noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def render_image(domain: str, seed: int, pid: int, camera: int, index: int) -> Image.Image:
    """Renders the image `index` (0 or more) of person `pid` (1..1501) under `camera` (from 1): 64 x 128, RGB.

    Raises ValueError, naming the argument, its value and the allowed range.
    """
    site = _checked(domain, seed)
    _in_range('pid', pid, 1, MAX_PID)
    _in_range('camera', camera, 1, site.cameras)
    _in_range('index', index, 0, MAX_IMAGES_PER_ID - 1)
    view = _camera(site, seed, camera)
    rng = _rng(site, seed, _IMAGE, pid, camera, index)
    facing = view.facing + rng.normal(0, math.radians(site.facing_spread))
    swing = math.radians(site.stride) * math.sin(rng.uniform(0, 2 * math.pi))
    body = Figure(_people(site, seed)[pid - 1], facing, swing).body

    shift = 2 * site.background_shift
    left = (SCENE[0] - CANVAS[0]) // 2 + int(rng.integers(-shift, shift + 1))
    top = int(rng.integers(0, SCENE[1] - CANVAS[1] - 19))
    canvas = view.scene.crop((left, top, left + CANVAS[0], top + CANVAS[1]))
    scale = rng.uniform(*site.scale)
    tilt = math.radians(rng.normal(0, site.rotation))
    dx, dy = rng.normal(0, 2 * site.shift, 2)
    body = body.transform(
        CANVAS,
        Image.Transform.AFFINE,
        _inverse_affine(scale, view.pitch, tilt, dx, dy),
        Image.Resampling.BILINEAR,
    )
    canvas.paste(body, (0, 0), body)
    if rng.random() < site.occlusion:
        _occlude(canvas, site, rng)
    return _expose(canvas, view, site, rng)


def _inverse_affine(scale: float, pitch: float, tilt: float, dx: float, dy: float) -> tuple[float, ...]:
    """Canvas to body coordinates, as PIL wants them: the body scaled and tilted about the centre."""
    cx, cy = CANVAS[0] / 2, CANVAS[1] / 2
    cos, sin = math.cos(tilt), math.sin(tilt)
    a, b, d, e = cos / scale, sin / scale, -sin / (scale * pitch), cos / (scale * pitch)
    return a, b, cx - a * (cx + dx) - b * (cy + dy), d, e, cy - d * (cx + dx) - e * (cy + dy)


# ---------------------------------------------------------------- files


def _in_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f'{name} is {value}, must be in {low}..{high}')


def _checked(domain: str, seed: int) -> Domain:
    if domain not in DOMAINS:
        raise ValueError(f'domain is {domain!r}, must be one of {", ".join(DOMAINS)}')
    _in_range('seed', seed, 0, 2**32 - 1)
    return DOMAINS[domain]


def _plan(domain: Domain, seed: int, pid: int, images_per_id: int) -> list[int]:
    """The camera of each image of a person: at least two images under each of at least two cameras."""
    rng = _rng(domain, seed, _PLAN, pid)
    low, high = (min(int(n), domain.cameras, images_per_id // 2) for n in domain.appearances)
    seen = rng.permutation(domain.cameras)[: rng.integers(low, high + 1)] + 1
    return sorted(np.resize(seen, images_per_id).tolist())


def _already_rendered(folder: Path, manifest: dict) -> bool:
    """Whether the folder holds just these images; raises FileExistsError if it holds anything else."""
    if not folder.exists():
        return False
    try:
        found = json.loads((folder / 'manifest.json').read_text())
    except (OSError, ValueError):
        found = None
    if found == manifest:
        return True
    if not isinstance(found, dict):
        differs = 'has no readable manifest.json'
    else:
        keys = [key for key in {**found, **manifest} if found.get(key) != manifest.get(key)]
        differs = 'was rendered with other parameters: ' + ', '.join(
            'settings of the domain' if key == 'settings' else f'{key} {found.get(key)} instead of {manifest.get(key)}'
            for key in keys
        )
    raise FileExistsError(f'{str(folder)!r} {differs}; choose another root or delete the folder')


def render(
    folder: str | Path,
    domain: str,
    seed: int,
    train_ids: int = 100,
    test_ids: int = 50,
    images_per_id: int = 11,
    progress: Callable[[int, int], None] | None = None,
    layout: str = 'market1501',
) -> dict:
    """Renders one domain as a data set into `folder`, which appears only once it is complete.

    Args:
        folder: the data set's own folder, e.g. root/'market1501' for the layout of that name.
        domain: a key of DOMAINS.
        seed: 0..2**32-1; with the domain's settings and the counts it decides every pixel.
        train_ids, test_ids: numbers of people, each 2 or more and together at most 1501.
        images_per_id: 4..600, spread over the cameras that see the person.
        progress: called as progress(done, total) after each image.
        layout: a key of LAYOUTS, the benchmark whose folders and names are used.

    Returns the manifest, also kept in `folder`/manifest.json. If it is there with the same content, nothing
    is rendered. Raises FileExistsError if `folder` holds anything else, ValueError for a value out of range.
    """
    site = _checked(domain, seed)
    if layout not in LAYOUTS:
        raise ValueError(f'layout is {layout!r}, must be one of {", ".join(LAYOUTS)}')
    _in_range('train_ids', train_ids, 2, MAX_PID - 2)
    _in_range('test_ids', test_ids, 2, MAX_PID - train_ids)
    _in_range('images_per_id', images_per_id, 4, MAX_IMAGES_PER_ID)
    # through JSON and back, so that it compares equal to the one read from a file
    manifest = json.loads(
        json.dumps(
            {
                'version': VERSION,
                'layout': layout,
                'domain': domain,
                'seed': seed,
                'train_ids': train_ids,
                'test_ids': test_ids,
                'images_per_id': images_per_id,
                'settings': asdict(site),
            }
        )
    )
    folder = Path(folder)
    if _already_rendered(folder, manifest):
        return manifest
    partial = folder.with_name(f'{folder.name}.partial-{os.getpid()}')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _render_images(partial, LAYOUTS[layout], domain, seed, train_ids, test_ids, images_per_id, progress)
        (partial / 'manifest.json').write_text(json.dumps(manifest, indent=1) + '\n')
        try:
            partial.rename(folder)
        except OSError:
            # another process may have finished the same data set in the meantime
            if not _already_rendered(folder, manifest):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _render_images(
    partial: Path,
    layout: Layout,
    domain: str,
    seed: int,
    train_ids: int,
    test_ids: int,
    images_per_id: int,
    progress,
) -> None:
    total = (train_ids + test_ids) * images_per_id
    lists = {'train': [], 'val': [], 'query': [], 'gallery': []}
    for number in range(total):
        pid, index = number // images_per_id + 1, number % images_per_id
        cameras = _plan(DOMAINS[domain], seed, pid, images_per_id)
        camera = cameras[index]
        if pid <= train_ids:
            half, first, split = layout.train, 1, 'train'
            if layout.lists and index == images_per_id - 1:
                split = 'val'
        else:
            # as in the benchmarks, one image per camera is a query
            is_query = cameras.index(camera) == index
            half, split = (layout.query, 'query') if is_query else (layout.gallery, 'gallery')
            first = train_ids + 1
        label = pid - first if layout.lists else pid
        name = layout.name.format(pid=label, camera=camera, index=index, frame=number + 1, box=int(split != 'query'))
        path = partial / layout.inner / half / name
        path.parent.mkdir(parents=True, exist_ok=True)
        render_image(domain, seed, pid, camera, index).save(path, quality=92)
        lists[split].append(f'{name} {label}\n')
        if progress:
            progress(number + 1, total)
    if layout.lists:
        for split, lines in lists.items():
            (partial / layout.inner / f'list_{split}.txt').write_text(''.join(lines))
