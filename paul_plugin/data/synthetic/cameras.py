"""The cameras of a site, and the images that they take."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from .body import Body
from .canvas import CANVAS, SIZE
from .domains import MAX_IMAGES_PER_ID, MAX_PID, Domain, check_range, domain_named
from .people import people
from .scene import SCENE, draw_scene, occlude
from .streams import Stream, random_stream


class Camera(NamedTuple):
    """What is the same in all images of a camera.

    Attributes:
        scene: what it sees behind the people, RGB, of the size of `SCENE`.
        facing: the usual walking direction, radians.
        pitch: height of a person seen from above, as a share of the height seen level.
        gain: (3,) float32, of red, green, blue, brightness included.
        contrast: factor about mid-grey.
        resolution: share of the image's pixels per side.
        blur: radius in image pixels.
        noise: sd in grey levels of 255.
    """

    scene: Image.Image
    facing: float
    pitch: float
    gain: np.ndarray
    contrast: float
    resolution: float
    blur: float
    noise: float


@lru_cache(maxsize=32)
def _camera(domain: Domain, seed: int, number: int) -> Camera:
    """The camera of that number, from 1."""
    rng = random_stream(domain, seed, Stream.CAMERA, number)
    gain = np.array(domain.white) * rng.uniform(*domain.exposure) * (1 + rng.uniform(-1, 1, 3) * domain.cast)
    return Camera(
        draw_scene(domain, rng, *domain.backgrounds[(number - 1) % len(domain.backgrounds)]),
        rng.uniform(-math.pi, math.pi),
        rng.uniform(0.94, 1.0),
        gain.astype(np.float32),
        rng.uniform(*domain.contrast),
        rng.uniform(*domain.resolution),
        rng.uniform(*domain.blur),
        rng.uniform(*domain.noise),
    )


def _expose(image: Image.Image, camera: Camera, domain: Domain, rng: np.random.Generator) -> Image.Image:
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
    """Renders one image of a person.

    Args:
        domain: a key of `DOMAINS`.
        seed: 0..2**32-1.
        pid: which person, 1..1501.
        camera: which camera sees it, from 1.
        index: which of the person's images, 0..599.

    Returns:
        RGB, 64 x 128 pixels; the same arguments always give the same ones.

    Raises:
        ValueError: for a value out of range; it names the argument, its value and the range.

    Example:
        >>> render_image('source', 0, pid=1, camera=1, index=0).size
        (64, 128)
    """
    site = domain_named(domain, seed)
    check_range('pid', pid, 1, MAX_PID)
    check_range('camera', camera, 1, site.cameras)
    check_range('index', index, 0, MAX_IMAGES_PER_ID - 1)
    view = _camera(site, seed, camera)
    rng = random_stream(site, seed, Stream.IMAGE, pid, camera, index)
    facing = view.facing + rng.normal(0, math.radians(site.facing_spread))
    swing = math.radians(site.stride) * math.sin(rng.uniform(0, 2 * math.pi))
    body = Body(people(site, seed)[pid - 1], facing, swing).image

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
        occlude(canvas, site, rng)
    return _expose(canvas, view, site, rng)


def _inverse_affine(scale: float, pitch: float, tilt: float, dx: float, dy: float) -> tuple[float, ...]:
    """Canvas to body coordinates, as PIL wants them: the body scaled and tilted about the centre."""
    cx, cy = CANVAS[0] / 2, CANVAS[1] / 2
    cos, sin = math.cos(tilt), math.sin(tilt)
    a, b, d, e = cos / scale, sin / scale, -sin / (scale * pitch), cos / (scale * pitch)
    return a, b, cx - a * (cx + dx) - b * (cy + dy), d, e, cy - d * (cx + dx) - e * (cy + dy)
