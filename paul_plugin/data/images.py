"""Reads the crops, and finds those that cannot be read before a run starts."""

import os
import re
import stat
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from ..runtime.errors import UserError, printable, reason

# What PIL may read. Among its other formats are some that start a program (EPS starts Ghostscript).
_FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'TIFF', 'WEBP', 'PPM', 'JPEG2000')
_SUFFIX = re.compile(r'(?i)\.(jpg|jpe|jpeg|jfif|png|bmp|gif|tiff?|webp|p[gbp]m|jp2)$')
_END_MARKERS = {'JPEG': b'\xff\xd9', 'MPO': b'\xff\xd9', 'PNG': b'IEND'}  # MPO is a camera's JPEG
_SECONDS = 2  # that a look at images takes before its bar is shown
_TAIL = 16  # bytes at the end of a file in which the marker is looked for
_BUFFER = 1 << 16  # most crops are smaller: one read takes the whole file
_SMALLEST_SIDE = 4  # pixels
_LARGEST_RATIO = 20  # of one side to the other
# Room for a phone's whole picture (12 megapixels); a kilobyte of JPEG 2000 can declare any number, at 20 bytes each.
_MOST_PIXELS = 16_000_000
_CHUNK = 64  # files a thread checks in one go
_THREADS = 8  # they wait for a network disk together; on a local one they can cost more than they bring
_LARGE = 1_000_000  # pixels of an image that is checked while no other such image is
_one_large = threading.Lock()
_GREY16 = 'grey of 16 bits'  # in the info of an image that was read: (height, width), from 0 to 65535
_TAILS = (1, 99)  # per cent of an image's pixels between which its grey is stretched: a dead pixel is no darkest one


class BadImage(UserError):
    """A crop that cannot be read: one line that names the file, the reason and the way out.

    torch re-raises the error of a DataLoader's worker as the same class with the worker's traceback for its text.
    The one line is taken out of it, so that `str(error)` is the same in the worker and in the parent.
    """

    of_one_process = True

    def __init__(self, text: str) -> None:
        lines = re.findall(r'^[\w.]*BadImage: (.*)$', text, re.MULTILINE)
        super().__init__(lines[-1] if lines else text)


class _Refused(Exception):
    """A reason that is found here, not by PIL or the system."""


def read_image(path: str, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Reads a crop as torchreid does, but fails at once where torchreid's function tries for ever.

    16-bit grey is scaled to 8 bits; `stretched` scales it otherwise. An image is turned as its EXIF orientation
    says; EXIF data that cannot be read are passed over. PIL's LOAD_TRUNCATED_IMAGES is switched off for the
    process: half an image is no crop. Damage that the decoder passes over, such as wrong pixels in the middle of a
    JPEG, is not seen.

    Args:
        path: the file.
        at_least: width and height in pixels; a larger JPEG may be decoded at a half, a quarter or an eighth, quickly.

    Returns:
        An RGB image, decoded completely; the file is closed.

    Raises:
        BadImage: one line, for a file that is not there, may not be read, is no image, is damaged, or is no crop of
            a person by its size (see `check_images`).

    Example:
        >>> read_image('market1501/bounding_box_train/0002_c1s1_000451_03.jpg').size
        (64, 128)
    """
    try:
        with _open_file(path) as file:
            image = _open_image(file)
            if at_least:
                image.draft(None, at_least)
            with _one_large if image.width * image.height > _LARGE else nullcontext():
                return _to_rgb(image)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in many ways inside PIL
        reason = _reason(path, error)
    raise BadImage(f'bad image {printable(path)}: {reason}: replace it or take it out of the data set')


def to_crop(image: Image.Image, name: str) -> Image.Image:
    """A PIL image as `read_image` gives one of a file: upright, RGB, decoded. The image itself is not changed.

    Raises:
        BadImage: one line with the name, for an image that `read_image` would refuse.
    """
    try:
        _check_crop(image)
        return _to_rgb(image.copy())
    except MemoryError:
        raise
    except Exception as error:  # one that was opened and not decoded yet fails in many ways
        reason = _reason(name, error)
    raise BadImage(f'bad image {printable(name)}: {reason}: replace it or take it out')


def is_image(path: str) -> bool:
    """Whether a file is meant for an image: by its suffix, whatever it holds, or by its header."""
    if _SUFFIX.search(path):
        return True
    try:
        with _open_file(path) as file, Image.open(file, formats=_FORMATS):
            return True
    except Image.DecompressionBombError:
        return True
    except MemoryError:
        raise
    except Exception:  # what is no image fails in many ways inside PIL
        return False


def check_images(paths: Iterable[str], decode: bool = False) -> dict[str, str]:
    """Finds the files that `read_image` would refuse.

    By default the header, the size and the end of each file are looked at. That finds truncated files, but not
    damage in the middle. A file whose end says nothing is decoded. An image is no crop of a person if a side is below
    4 pixels or more than 20 times the other, or if it has more than 16 million pixels (or PIL's MAX_IMAGE_PIXELS, if
    that is less). Its header tells, before anything is decoded; large images are decoded one at a time.

    Args:
        paths: the files.
        decode: decode every file completely; it then refuses exactly what `read_image` refuses.

    Returns:
        The bad paths, in the order given, and for each the reason, short and without the path.

    Example:
        >>> check_images(['good.jpg', 'empty.jpg'])
        {'empty.jpg': 'it is empty (0 bytes)'}
    """
    paths = list(paths)
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda chunk: _check_chunk(chunk, decode), chunks)
        options = {'unit': ' parts', 'leave': False, 'delay': _SECONDS, 'disable': _quiet()}
        shown = tqdm(found, 'Looking at images', len(chunks), **options)
        return {path: reason for bad in shown for path, reason in bad}


def _quiet() -> bool | None:
    """Whether this process shows no bar; None where a terminal decides. It may not know the other ones yet."""
    return True if os.environ.get('RANK', '0') != '0' else None


def bad_in_words(bad: dict[str, str], limit: int = 10) -> str:
    """The result of `check_images` for a message: a line `  PATH: reason` for each of the first, then their rest.

    Example:
        >>> print(bad_in_words(check_images(paths), limit=1))
          a.jpg: it is empty (0 bytes)
          ... and 32 more
    """
    lines = [f'  {printable(path)}: {reason}' for path, reason in list(bad.items())[:limit]]
    return '\n'.join(lines + [f'  ... and {len(bad) - limit} more'] * (len(bad) > limit))


def _check_chunk(paths: Sequence[str], decode: bool) -> list[tuple[str, str]]:
    reasons = [(path, _check(path, decode)) for path in paths]
    return [(path, reason) for path, reason in reasons if reason]


def _check(path: str, decode: bool) -> str:
    """The reason why a file is bad, or an empty string."""
    try:
        with _open_file(path) as file:
            image = _open_image(file)
            if decode or not _is_complete(file, image):
                with _one_large if image.width * image.height > _LARGE else nullcontext():
                    _to_rgb(image)
    except MemoryError:
        raise
    except Exception as error:
        return _reason(path, error)
    return ''


def _open_file(path: str) -> BinaryIO:
    # Looked at before it is opened: to open a pipe is to wait for its writer.
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise _Refused('it is a folder')
    if not stat.S_ISREG(status.st_mode):
        raise _Refused('it is a pipe or a device, not a file')
    if status.st_size == 0:
        raise _Refused('it is empty (0 bytes)')
    return open(path, 'rb', buffering=_BUFFER)


def _open_image(file: BinaryIO) -> Image.Image:
    """The image by its header, not decoded yet."""
    image = Image.open(file, formats=_FORMATS)
    _check_crop(image)
    return image


def _check_crop(image: Image.Image) -> None:
    """Refuses what its header tells to be no crop."""
    # One flag for the process, and any library can set it. It is not set back: another thread may be decoding.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    width, height = image.size
    most = _most_pixels()
    if width * height > most:
        raise _Refused(_too_large(most))
    short, long = sorted(image.size)
    if short < _SMALLEST_SIDE or long > _LARGEST_RATIO * short:
        raise _Refused(f'it is {width}x{height} pixels, no crop of a person')
    if image.mode == 'F':
        raise _Refused('its pixels are floats, of no known range')


def _most_pixels() -> int:
    return min(_MOST_PIXELS, Image.MAX_IMAGE_PIXELS or _MOST_PIXELS)


def _too_large(most: int) -> str:
    return f'it has more than {most} pixels, no crop of a person'


def _is_complete(file: BinaryIO, image: Image.Image) -> bool:
    """Whether a file has pixels and ends as one of its format does; False also if that cannot be told."""
    if image.format not in _END_MARKERS or not image.tile:
        return False
    position = file.tell()
    file.seek(-_TAIL, os.SEEK_END)
    tail = file.read()
    file.seek(position)  # PIL decodes from where it stopped
    return _END_MARKERS[image.format] in tail


def _to_rgb(image: Image.Image) -> Image.Image:
    """Decodes an image, turns it upright and converts it to RGB."""
    image.load()
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data fail in many ways inside PIL; the pixels are whole, turned or not
        pass
    if image.mode.startswith('I'):
        # PIL would clip 16 bits to 8, and make most of the image white.
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise _Refused('its pixels are 32-bit numbers, of no known range')
        values = values.astype(np.uint16)
        rgb = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert('RGB')
        rgb.info[_GREY16] = values
        return rgb
    return image.convert('RGB')


def is_grey16(image: Image.Image) -> bool:
    """Whether an image that `read_image` gave is a grey one of 16 bits."""
    return _GREY16 in image.info


def stretched(image: Image.Image) -> Image.Image:
    """An image of `read_image`, grey of 16 bits scaled from its own darkest to its brightest; any other as it is.

    A thermal camera's crop takes a few hundred of the 65,536 values: scaled by the whole range it would be one grey.
    The darkest and the brightest are the 1st and the 99th percentile.
    """
    if not is_grey16(image):
        return image
    values = image.info[_GREY16].astype(np.float32)
    low, high = np.percentile(values, _TAILS)
    scaled = (values - low) * (255 / max(high - low, 1))
    return Image.fromarray(np.rint(scaled.clip(0, 255)).astype(np.uint8)).convert('RGB')


def _reason(path: str, error: Exception) -> str:
    """Why a file cannot be read: short, one line, without its path."""
    if isinstance(error, FileNotFoundError):
        return 'it is a link to a file that does not exist' if os.path.islink(path) else 'there is no such file'
    if isinstance(error, PermissionError):
        return 'no permission to read it'
    if isinstance(error, Image.DecompressionBombError):  # PIL's own, far beyond
        return _too_large(_most_pixels())
    if isinstance(error, UnidentifiedImageError):
        return 'it is no image of a known format (JPEG, PNG, ...), or its header is damaged'
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f'it cannot be read ({error.strerror})'
    return f'it is damaged ({reason(error, 100) or type(error).__name__})'
