"""The canvas that people and scenes are drawn on, and the shapes that they are made of."""

import math
from collections.abc import Sequence

from .domains import RGB

SIZE = (64, 128)  # width, height of an image in pixels
CANVAS = (128, 256)  # everything is drawn at twice that size and averaged down
MIDDLE = CANVAS[0] / 2  # where a person stands
Point = tuple[float, float]  # x to the right, y down, canvas pixels


def tone(colour: RGB, factor: float) -> RGB:
    """A colour made darker (a factor below 1) or lighter."""
    return tuple(min(255, int(c * factor)) for c in colour)


def limb(points: Sequence[Point], widths: Sequence[float]) -> list[Point]:
    """The outline of a limb through its joints, with a half width at each."""
    left, right = [], []
    for k, ((x, y), half) in enumerate(zip(points, widths)):
        (ax, ay), (bx, by) = points[max(k - 1, 0)], points[min(k + 1, len(points) - 1)]
        length = math.hypot(bx - ax, by - ay) or 1
        dx, dy = half * (by - ay) / length, half * (ax - bx) / length
        left.append((x + dx, y + dy))
        right.append((x - dx, y - dy))
    return left + right[::-1]


def upright(heights: Sequence[float], widths: Sequence[float], x: float = MIDDLE) -> list[Point]:
    """The outline of something symmetric about a vertical axis, with a half width at each height."""
    return limb([(x, y) for y in heights], widths)


def between(start: Point, end: Point, share: float) -> Point:
    """The point that lies at a share of the way from one point to another."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
