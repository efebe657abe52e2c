"""Image files, good and bad, and the message of the reader that refuses them."""

import io

import numpy as np
import pytest
from PIL import Image

from paul_plugin.data.images import BadImage, read_image

ADVICE = 'replace it or take it out of the data set'


def picture(mode='RGB', size=(64, 128)):
    """A picture with noise, so that its file is long enough to be cut in many places."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encode(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def accepts(path):
    try:
        read_image(path)
    except BadImage:
        return False
    return True


def refusal(path):
    """The message of read_image, once it is seen to be one line that names the file and the way out."""
    with pytest.raises(BadImage) as error:
        read_image(path)
    message = str(error.value)
    assert message.startswith(f'bad image {path}: ')
    assert message.endswith(f': {ADVICE}')
    assert '\n' not in message
    return message


def write(folder, name, content):
    path = str(folder / name)
    with open(path, 'wb') as file:
        file.write(content)
    return path


def colours_of(image):
    """The colours that more than a few pixels have."""
    return {colour for count, colour in image.getcolors(1 << 24) if count > 20}
