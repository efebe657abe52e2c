"""What a camera sees: the scene behind a person, what stands before, and what light and lens make of it."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .domains import _CAMERA, _IMAGE, MAX_IMAGES_PER_ID, MAX_PID, Domain, _checked, _in_range, _rng
from .figure import CANVAS, Figure, _limb, _tone
from .people import _people

SIZE = (64, 128)  # width, height of an image in pixels
SCENE = (320, 300)  # what one camera sees behind the people, in canvas pixels


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
