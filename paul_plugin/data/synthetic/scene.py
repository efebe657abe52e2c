"""The scene behind a person, and what stands before."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .canvas import CANVAS, limb, tone
from .domains import RGB, Domain

SCENE = (320, 300)  # what one camera sees behind the people, in canvas pixels


def draw_scene(domain: Domain, rng: np.random.Generator, wall: str, ground: str) -> Image.Image:
    """What a camera sees behind the people.

    Args:
        domain: gives the colours.
        rng: decides the rest.
        wall: a key of `WALLS`.
        ground: a key of `GROUNDS`.

    Returns:
        RGB, of the size of `SCENE`.
    """
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


def _plain_wall(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    draw.rectangle((0, floor - 14, SCENE[0], floor), fill=tone(colour, 0.75))


def _bricks(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    for row, y in enumerate(range(0, floor, 12)):
        for x in range(-(row % 2) * 14, SCENE[0], 28):
            draw.rectangle((x, y, x + 26, y + 10), fill=tone(colour, rng.uniform(0.7, 0.9)))


def _panels(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    for x in range(0, SCENE[0], 44):
        draw.rectangle((x, 0, x + 40, floor), fill=tone(colour, rng.uniform(0.75, 1.1)))
        draw.line((x + 42, 0, x + 42, floor), fill=tone(colour, 0.5), width=3)


def _windows(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    for x in range(10, SCENE[0], 70):
        glass = tone((96, 124, 144), rng.uniform(0.6, 1.3))
        draw.rectangle((x, 12, x + 52, floor - 26), fill=glass, outline=tone(colour, 0.5), width=4)
        draw.polygon([(x + 8, 16), (x + 24, 16), (x + 8, 60)], fill=tone(glass, 1.35))


def _hedge(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    draw.rectangle((0, floor - 100, SCENE[0], floor), fill=(52, 80, 46))
    for x, y, r, light in zip(
        rng.integers(0, SCENE[0], 260),
        rng.integers(floor - 105, floor, 260),
        rng.integers(4, 12, 260),
        rng.uniform(0.6, 1.4, 260),
    ):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tone((66, 100, 54), light))


def _plain_ground(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    draw.rectangle((0, floor, SCENE[0], floor + 4), fill=tone(colour, 0.8))


def _tiles(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    line = tone(colour, 0.78)
    for k in range(1, 7):
        y = floor + 3.2 * k * k
        draw.line((0, y, SCENE[0], y), fill=line, width=2)
    for x in range(-600, SCENE[0] + 600, 60):
        draw.line((SCENE[0] / 2 + (x - SCENE[0] / 2) * 0.4, floor, x, SCENE[1]), fill=line, width=2)


def _kerb(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    edge = floor + int(rng.integers(20, 50))
    draw.rectangle((0, edge, SCENE[0], edge + 8), fill=tone(colour, 1.3))
    draw.rectangle((0, edge + 8, *SCENE), fill=tone(colour, 0.65))


def _grass(draw: ImageDraw.ImageDraw, rng: np.random.Generator, floor: int, colour: RGB) -> None:
    edge = floor + 40
    draw.rectangle((0, floor, SCENE[0], edge), fill=(104, 134, 74))
    for x, y in zip(rng.integers(0, SCENE[0], 200), rng.integers(floor, edge, 200)):
        draw.line((x, y, x + 2, y - 7), fill=tone((104, 134, 74), rng.uniform(0.7, 1.2)), width=2)


# how each is drawn: by its pen, on SCENE, above or below the height `floor`
WALLS = {'plain': _plain_wall, 'bricks': _bricks, 'panels': _panels, 'windows': _windows, 'hedge': _hedge}
GROUNDS = {'plain': _plain_ground, 'tiles': _tiles, 'kerb': _kerb, 'grass': _grass}


def occlude(canvas: Image.Image, domain: Domain, rng: np.random.Generator) -> None:
    """Puts a pole, a plant, the edge of a car or a passer-by's arm in front of the person on a canvas."""
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
            draw.ellipse((x - 7, y - 9, x + 7, y + 9), fill=tone((62, 96, 52), light))
    elif kind == 2:
        reach = int(rng.integers(30, 70))
        x = width - reach if right else reach - width
        draw.rounded_rectangle((x, 180, x + width, height + 40), 14, fill=colour, outline=tone(colour, 0.6), width=3)
        draw.rectangle((x + 10, 188, x + width - 10, 206), fill=(60, 70, 80))
    else:
        x = width - 14 if right else 14
        draw.polygon(limb([(x, 50), (x + (6 if right else -6), 120), (x, 180)], [18, 14, 10]), fill=colour)
