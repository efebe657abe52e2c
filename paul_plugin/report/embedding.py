"""Pictures as parts of the page itself, together small enough to be sent by mail."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, features

_ROOM = 3_600_000  # bytes of all pictures together; base64 makes 4.8 MB of them
_LARGEST_WEBP = 16_383  # pixels of a side


class NumberTable(NamedTuple):
    """A table of the page: each row is a name and as many numbers as there are columns beside the first."""

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


class Picture(NamedTuple):
    """A picture of the page: its heading, one paragraph of explanation, the image, and a table below, if any."""

    heading: str
    explanation: str
    image: Image.Image
    table: NumberTable | None = None


def embed(pictures: Sequence[Picture]) -> list[dict[str, object]]:
    """What the template shows of each picture: its parts, and source, width and height in pixels of CSS."""
    shown = []
    files = _encode([picture.image for picture in pictures])
    for (heading, explanation, image, table), (kind, content) in zip(pictures, files, strict=True):
        scale = 96 / (image.info.get('dpi', (96, 96))[0] or 96)
        size = {'width': round(image.width * scale), 'height': round(image.height * scale)}
        source = f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
        shown.append({'heading': heading, 'explanation': explanation, 'source': source, 'table': table, **size})
    return shown


def _encode(images: Sequence[Image.Image]) -> list[tuple[str, bytes]]:
    """Format and bytes of each image: without loss where there is room, else the largest ones at a high quality."""
    files = [_lossless(image) for image in images]
    for index in sorted(range(len(files)), key=lambda index: -len(files[index][1])):
        if sum(len(content) for _, content in files) <= _ROOM:
            break
        files[index] = ('jpeg', _save(images[index].convert('RGB'), 'JPEG', quality=85))
    return files


def _lossless(image: Image.Image) -> tuple[str, bytes]:
    """WebP, smaller than PNG for curves and for sheets of crops, unless the image is too long or PIL lacks it."""
    if max(image.size) <= _LARGEST_WEBP and features.check('webp'):
        return 'webp', _save(image, 'WEBP', lossless=True)
    return 'png', _save(image, 'PNG', optimize=True)


def _save(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
