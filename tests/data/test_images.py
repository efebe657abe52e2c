"""The crops on disk: every kind that is read, and damaged, foreign or hostile files that are refused at once."""

import io
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from torch.utils.data import DataLoader

from paul_plugin.data.images import BadImage, check_images, describe_bad, read_image
from paul_plugin.runtime.errors import UserError

ADVICE = 'replace it or take it out of the data set'


def picture(mode='RGB', size=(64, 128)):
    """A picture with noise, so that its file is long enough to be cut in many places."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def grey16(dtype='<u2'):
    """16-bit grey: black, one step of 8 bits, the middle and white in four bands."""
    return Image.fromarray(np.repeat(np.array([0, 257, 32896, 65535], dtype), 512).reshape(64, 32))


def encode(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def png_chunk(kind, data, crc=None):
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', crc)


def png_of(size):
    """A PNG with the header of a large image and hardly any data."""
    header = struct.pack('>IIBBBBB', *size, 8, 2, 0, 0, 0)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(b'\0' * 100)), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(png_chunk(*chunk) for chunk in chunks)


JPEG = encode(picture(), 'JPEG', quality=90)
PNG = encode(picture(), 'PNG')
SCAN = JPEG.index(b'\xff\xda')  # where the pixels of the JPEG start
WRONG_CRC = PNG[:29] + b'\0\0\0\0' + PNG[33:]  # that of the header

GOOD = {
    'rgb.jpg': JPEG,
    'progressive.jpg': encode(picture(), 'JPEG', progressive=True),
    'grey.jpg': encode(picture('L'), 'JPEG'),
    'cmyk.jpg': encode(picture('CMYK'), 'JPEG'),
    'zeros_after_the_end.jpg': JPEG + b'\0' * 5,
    'garbage_after_the_end.jpg': JPEG + b'garbage' * 1000,
    'zeros_for_pixels.jpg': JPEG[: len(JPEG) // 2].ljust(len(JPEG), b'\0'),  # the decoder takes them for pixels
    'long_header.jpg': encode(picture(), 'JPEG', exif=b'Exif\0\0' + b'\0' * 65000, icc_profile=b'\0' * 200_000),
    'a_png_named.jpg': PNG,
    'rgb.png': PNG,
    'garbage_after_the_end.png': PNG + b'garbage' * 1000,
    'no_end_but_all_pixels.png': PNG[:-12],
    'palette.png': encode(picture('P'), 'PNG'),
    'transparent.png': encode(picture('RGBA'), 'PNG'),
    'grey_transparent.png': encode(picture('LA'), 'PNG'),
    'one_bit.png': encode(picture('1'), 'PNG'),
    'grey_16_bit.png': encode(grey16(), 'PNG'),
    'rgb.bmp': encode(picture(), 'BMP'),
    'rgb.gif': encode(picture(), 'GIF'),
    'rgb.webp': encode(picture(), 'WEBP'),
    'rgb.tif': encode(picture(), 'TIFF'),
    'compressed.tif': encode(picture(), 'TIFF', compression='tiff_lzw'),
    'rgb.ppm': encode(picture(), 'PPM'),
    'smallest.png': encode(picture(size=(4, 4)), 'PNG'),
    'narrowest.png': encode(picture(size=(10, 200)), 'PNG'),
}

UNKNOWN = 'no image of a known format'
BAD = {
    'empty.jpg': (b'', r'it is empty \(0 bytes\)'),
    'text.jpg': (b'a list of files\n' * 100, UNKNOWN),
    'page.jpg': (b'<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n', UNKNOWN),
    'program.jpg': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 128\n%%EndComments\nshowpage\n', UNKNOWN),
    'one_byte.jpg': (JPEG[:1], UNKNOWN),
    'start_only.jpg': (JPEG[:2], UNKNOWN),
    'random_after_the_start.jpg': (JPEG[:2] + np.random.default_rng(0).bytes(5000), UNKNOWN),
    'cut_in_the_header.jpg': (JPEG[:100], 'it is damaged|header is damaged'),
    'cut_in_the_header_and_ended.jpg': (JPEG[:100] + b'\xff\xd9', 'it is damaged|header is damaged'),
    'cut_before_the_pixels.jpg': (JPEG[:SCAN], 'it is damaged'),
    'no_pixels.jpg': (JPEG[:SCAN] + b'\xff\xd9', 'it is damaged'),
    'no_pixels.png': (PNG[:33] + PNG[-12:], 'it is damaged'),
    'cut_at_the_first_pixels.jpg': (JPEG[: SCAN + 20], 'it is damaged .*truncated'),
    'cut_at_half.jpg': (JPEG[: len(JPEG) // 2], 'it is damaged .*truncated'),
    'cut_at_the_end.jpg': (JPEG[:-100], 'it is damaged .*truncated'),
    'cut_at_half.png': (PNG[: len(PNG) // 2], 'it is damaged .*truncated'),
    'cut_in_the_header.png': (PNG[:20], 'it is damaged .*Truncated'),
    'wrong_crc.png': (WRONG_CRC, UNKNOWN),
    'cut.bmp': (encode(picture(), 'BMP')[:-100], 'it is damaged .*truncated'),
    'cut.gif': (encode(picture(), 'GIF')[:-1000], 'it is damaged .*truncated'),
    'cut.webp': (encode(picture(), 'WEBP')[:-100], 'it is damaged|header is damaged'),
    'cut.tif': (encode(picture(), 'TIFF', compression='tiff_lzw')[:-100], 'it is damaged|header is damaged'),
    '1x1.jpg': (encode(picture(size=(1, 1)), 'JPEG'), 'it is 1x1 pixels, no crop of a person'),
    '3x100.png': (encode(picture(size=(3, 100)), 'PNG'), 'it is 3x100 pixels'),
    '10x201.png': (encode(picture(size=(10, 201)), 'PNG'), 'it is 10x201 pixels'),
    '20000x10.png': (encode(picture(size=(20_000, 10)), 'PNG'), 'it is 20000x10 pixels'),
    '10x20000.png': (encode(picture(size=(10, 20_000)), 'PNG'), 'it is 10x20000 pixels'),
    'bomb.png': (png_of((50_000, 50_000)), 'it has more than 89478485 pixels'),
    'float.tif': (encode(picture('F'), 'TIFF'), 'its pixels are floats'),
}


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


@pytest.mark.parametrize('name', GOOD)
def test_good_files_are_read_and_found_good(tmp_path, name):
    path = write(tmp_path, name, GOOD[name])
    with Image.open(path) as image:
        size = image.size
    image = read_image(path)
    assert (image.mode, image.size) == ('RGB', size)
    assert len(image.tobytes()) == 3 * size[0] * size[1]
    assert check_images([path]) == check_images([path], decode=True) == {}


@pytest.mark.filterwarnings('ignore:Corrupt EXIF data')  # of the truncated TIFF
@pytest.mark.parametrize('name', BAD)
def test_bad_files_are_refused_for_the_same_reason_by_both(tmp_path, name):
    content, reason = BAD[name]
    path = write(tmp_path, name, content)
    bad = check_images([path], decode=True)
    assert list(bad) == [path]
    assert check_images([path]) == bad  # all of these show in the header or at the end
    assert refusal(path) == f'bad image {path}: {bad[path]}: {ADVICE}'
    with pytest.raises(BadImage, match=reason):
        read_image(path)


@pytest.mark.parametrize('content', [JPEG, PNG, GOOD['progressive.jpg']], ids=['jpeg', 'png', 'progressive'])
def test_both_agree_wherever_a_file_is_cut(tmp_path, content):
    for length in [*range(1, len(content), len(content) // 40), *range(len(content) - 15, len(content))]:
        for end in (b'', b'\xff\xd9', b'IEND'):
            path = write(tmp_path, 'cut', content[:length] + end)
            good = accepts(path)
            assert (check_images([path], decode=True) == {}) == good, (length, end)
            if good or not end:  # a forged end needs the decoder
                assert (check_images([path]) == {}) == good, (length, end)


def test_both_agree_on_random_damage(tmp_path):
    """Whatever PIL raises on it, it is a BadImage; the quick look refuses nothing that can be read."""
    random = np.random.default_rng(0)
    for name in ('rgb.jpg', 'rgb.png', 'rgb.gif', 'rgb.webp', 'rgb.bmp', 'compressed.tif', 'palette.png', 'rgb.ppm'):
        for _ in range(10):
            content = bytearray(GOOD[name])
            for place in [*random.integers(0, 60, 2), random.integers(len(content))]:
                content[place] = random.integers(256)
            path = write(tmp_path, name, content)
            good = accepts(path)
            assert (check_images([path], decode=True) == {}) == good
            assert not (good and check_images([path]))


def test_the_pixels_are_those_of_pil(tmp_path):
    for name in ('rgb.jpg', 'cmyk.jpg', 'palette.png', 'transparent.png', 'one_bit.png'):
        path = write(tmp_path, name, GOOD[name])
        with Image.open(path) as image:
            assert read_image(path).tobytes() == image.convert('RGB').tobytes()


@pytest.mark.parametrize(
    ('image', 'image_format'),
    [(grey16(), 'PNG'), (grey16(), 'TIFF'), (grey16('>u2'), 'TIFF'), (grey16('<i4'), 'TIFF')],
    ids=['png', 'little-endian tiff', 'big-endian tiff', '32-bit tiff'],
)
def test_16_bits_are_scaled_to_8(tmp_path, image, image_format):
    path = write(tmp_path, 'grey', encode(image, image_format))
    bands = np.asarray(read_image(path))[8::16]
    assert (bands == np.array([0, 1, 128, 255])[:, None, None]).all()


@pytest.mark.parametrize('value', [-1, 65536])
def test_wider_than_16_bits_is_refused_when_decoded(tmp_path, value):
    path = write(tmp_path, 'wide.tif', encode(Image.new('I', (32, 64), value), 'TIFF'))
    assert '32-bit numbers' in refusal(path)
    assert list(check_images([path])) == [path]


def test_the_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = write(tmp_path, 'turned.jpg', encode(picture(), 'JPEG', exif=exif))
    assert read_image(path).size == (64, 128)


def test_pil_is_not_allowed_to_complete_a_truncated_file(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    path = write(tmp_path, 'cut.jpg', JPEG[: len(JPEG) // 2])
    assert 'truncated' in refusal(path)
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    assert list(check_images([path])) == [path]


def test_a_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    """PIL itself only warns up to twice its limit."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 64 * 128 - 1)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', None)  # to decode is a TypeError
    path = write(tmp_path, 'bomb.png', PNG)
    with pytest.warns(Image.DecompressionBombWarning):
        assert 'more than 8191 pixels' in refusal(path)


def test_what_is_no_file(tmp_path):
    folder, missing, link, loop, pipe = (str(tmp_path / name) for name in ('x.jpg', 'no.jpg', 'link', 'loop', 'pipe'))
    os.mkdir(folder)
    os.symlink(missing, link)
    os.symlink(loop, loop)
    os.mkfifo(pipe)
    expected = {
        folder: 'it is a folder',
        missing: 'there is no such file',
        link: 'it is a link to a file that does not exist',
        loop: 'it cannot be read (Too many levels of symbolic links)',
        pipe: 'it is a pipe or a device, not a file',
        '/dev/zero': 'it is a pipe or a device, not a file',
    }
    assert check_images(expected) == check_images(expected, decode=True) == expected
    assert all(reason in refusal(path) for path, reason in expected.items())


def test_a_link_to_a_good_file_is_read(tmp_path):
    os.symlink(write(tmp_path, 'good.jpg', JPEG), tmp_path / 'link.jpg')
    assert read_image(str(tmp_path / 'link.jpg')).size == (64, 128)
    assert check_images([str(tmp_path / 'link.jpg')]) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_no_permission(tmp_path):
    path = write(tmp_path, 'secret.jpg', JPEG)
    os.chmod(path, 0)
    assert 'no permission to read it' in refusal(path)
    assert check_images([path]) == {path: 'no permission to read it'}


def test_no_permission_is_told_from_damage(tmp_path, monkeypatch):
    """The same as root, with the system's error made by hand."""
    path = write(tmp_path, 'secret.jpg', JPEG)

    def refuse(*args, **options):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr('builtins.open', refuse)
    assert 'no permission to read it' in refusal(path)


def test_out_of_memory_is_not_the_file_s_fault(tmp_path, monkeypatch):
    path = write(tmp_path, 'good.png', PNG)

    def exhaust(image):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, 'load', exhaust)
    with pytest.raises(MemoryError):
        read_image(path)
    with pytest.raises(MemoryError):
        check_images([path], decode=True)


def test_reading_leaves_no_file_open(tmp_path):
    good, bad = write(tmp_path, 'good.gif', GOOD['rgb.gif']), write(tmp_path, 'bad.jpg', JPEG[:-100])
    before = len(os.listdir('/dev/fd'))
    images = [read_image(good) for _ in range(5)]
    assert len(check_images([good, bad] * 5)) == 1
    assert not any(accepts(bad) for _ in range(5))
    assert len(os.listdir('/dev/fd')) == before
    assert len(images) == 5


def test_the_order_is_the_one_given(tmp_path):
    """Over several threads' worth of files."""
    good = write(tmp_path, 'good.jpg', JPEG)
    missing = [str(tmp_path / f'{number:03d}.jpg') for number in np.random.default_rng(0).permutation(300)]
    bad = check_images(path for name in missing for path in (good, name))
    assert list(bad) == missing
    assert check_images([]) == {}


def test_describe_bad():
    bad = {f'/crops/{number}.jpg': 'it is a folder' for number in range(4)}
    assert describe_bad(bad, limit=2) == (
        '  /crops/0.jpg: it is a folder\n  /crops/1.jpg: it is a folder\n  ... and 2 more'
    )
    assert describe_bad(bad, limit=4).count('\n') == 3
    assert describe_bad({'a\nb.jpg': 'it is a folder'}) == r"  'a\nb.jpg': it is a folder"


def test_a_name_with_a_line_break_gives_one_line(tmp_path):
    with pytest.raises(BadImage) as error:
        read_image(f'{tmp_path}/a\nBadImage: b.jpg')
    assert '\n' not in str(error.value)
    assert str(error.value).endswith(ADVICE)


def test_a_bad_image_survives_pickling(tmp_path):
    error = BadImage(refusal(str(tmp_path / 'no.jpg')))
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, BadImage)
    assert isinstance(copy, UserError)
    assert str(copy) == str(error)


class Crops:
    """A data set of files, for the loader."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return np.array(read_image(self.paths[index]))


@pytest.mark.parametrize('workers', [0, 1])
def test_one_line_arrives_from_a_loader(tmp_path, workers):
    good, bad = write(tmp_path, 'good.jpg', JPEG), write(tmp_path, 'bad.jpg', JPEG[:-100])
    message = refusal(bad)
    batches = iter(DataLoader(Crops([good, bad]), num_workers=workers))
    assert next(batches).shape == (1, 128, 64, 3)
    with pytest.raises(BadImage) as error:
        next(batches)
    assert str(error.value) == message
