"""The crops on disk: every kind that is read, and damaged, foreign or hostile files that are refused at once."""

import struct
import time
import zlib

import numpy as np
import pytest
from helpers.images import ADVICE, accepts, encode, picture, refusal, write
from PIL import Image, ImageFile

from paul_plugin.data import images
from paul_plugin.data.images import BadImage, bad_in_words, check_images, is_image, read_image


def grey16(dtype='<u2'):
    """16-bit grey: black, one step of 8 bits, the middle and white in four bands."""
    return Image.fromarray(np.repeat(np.array([0, 257, 32896, 65535], dtype), 512).reshape(64, 32))


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
    'cmyk.jpg': encode(picture('CMYK'), 'JPEG'),
    'garbage_after_the_end.jpg': JPEG + b'garbage' * 1000,
    'zeros_for_pixels.jpg': JPEG[: len(JPEG) // 2].ljust(len(JPEG), b'\0'),  # the decoder takes them for pixels
    'long_header.jpg': encode(picture(), 'JPEG', exif=b'Exif\0\0' + b'\0' * 65000, icc_profile=b'\0' * 200_000),
    'a_png_named.jpg': PNG,
    'rgb.png': PNG,
    'garbage_after_the_end.png': PNG + b'garbage' * 1000,
    'no_end_but_all_pixels.png': PNG[:-12],
    'palette.png': encode(picture('P'), 'PNG'),
    'transparent.png': encode(picture('RGBA'), 'PNG'),
    'one_bit.png': encode(picture('1'), 'PNG'),
    'grey_16_bit.png': encode(grey16(), 'PNG'),
    'rgb.bmp': encode(picture(), 'BMP'),
    'rgb.gif': encode(picture(), 'GIF'),
    'rgb.webp': encode(picture(), 'WEBP'),
    'rgb.tif': encode(picture(), 'TIFF'),
    'compressed.tif': encode(picture(), 'TIFF', compression='tiff_lzw'),
    'rgb.ppm': encode(picture(), 'PPM'),
    'smallest.png': encode(picture(size=(4, 4)), 'PNG'),
}

UNKNOWN = 'no image of a known format'
BAD = {
    'empty.jpg': (b'', r'it is empty \(0 bytes\)'),
    'text.jpg': (b'a list of files\n' * 100, UNKNOWN),
    'program.jpg': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 128\n%%EndComments\nshowpage\n', UNKNOWN),
    'random_after_the_start.jpg': (JPEG[:2] + np.random.default_rng(0).bytes(5000), UNKNOWN),
    'cut_in_the_header_and_ended.jpg': (JPEG[:100] + b'\xff\xd9', 'it is damaged|header is damaged'),
    # Pillow 13 finds the damage where it decodes, Pillow 12 in the header.
    'cut_before_the_pixels.jpg': (JPEG[:SCAN], 'is damaged'),
    'no_pixels.jpg': (JPEG[:SCAN] + b'\xff\xd9', 'is damaged'),
    'cut_at_half.jpg': (JPEG[: len(JPEG) // 2], 'it is damaged .*truncated'),
    'cut_at_half.png': (PNG[: len(PNG) // 2], 'it is damaged .*truncated'),
    'cut_in_the_header.png': (PNG[:20], 'it is damaged .*Truncated'),
    'wrong_crc.png': (WRONG_CRC, UNKNOWN),
    'cut.bmp': (encode(picture(), 'BMP')[:-100], 'it is damaged .*truncated'),
    'cut.webp': (encode(picture(), 'WEBP')[:-100], 'it is damaged|header is damaged'),
    '1x1.jpg': (encode(picture(size=(1, 1)), 'JPEG'), 'it is 1x1 pixels, no crop of a person'),
    '10x201.png': (encode(picture(size=(10, 201)), 'PNG'), 'it is 10x201 pixels'),
    '20000x10.png': (encode(picture(size=(20_000, 10)), 'PNG'), 'it is 20000x10 pixels'),
    'large.png': (png_of((4001, 4000)), 'it has more than 16000000 pixels'),
    'float.tif': (encode(picture('F'), 'TIFF'), 'its pixels are floats'),
}


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


UPRIGHT = ((RED, GREEN), (BLUE, WHITE)) = (((255, 0, 0), (0, 255, 0)), ((0, 0, 255), (255, 255, 255)))
STORED = {  # orientation -> the four quarters of the file whose picture is UPRIGHT
    1: UPRIGHT,
    2: ((GREEN, RED), (WHITE, BLUE)),
    3: ((WHITE, BLUE), (GREEN, RED)),
    4: ((BLUE, WHITE), (RED, GREEN)),
    5: ((RED, BLUE), (GREEN, WHITE)),
    6: ((GREEN, WHITE), (RED, BLUE)),
    7: ((WHITE, GREEN), (BLUE, RED)),
    8: ((BLUE, RED), (WHITE, GREEN)),
}


def with_orientation(orientation, image_format):
    """A file of a picture of 32x64 pixels, its quarters UPRIGHT, stored as a camera does that is held so."""
    size = (32, 64) if orientation < 5 else (64, 32)
    image = Image.fromarray(np.array(STORED[orientation], np.uint8)).resize(size, Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, image_format, exif=exif)


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', STORED)
def test_an_image_is_turned_as_its_orientation_says(tmp_path, orientation, image_format):
    path = write(tmp_path, 'turned', with_orientation(orientation, image_format))
    image = read_image(path)
    assert image.size == (32, 64)
    quarters = [image.getpixel(place) for place in ((8, 16), (24, 16), (8, 48), (24, 48))]
    assert np.abs(np.subtract(quarters, [*UPRIGHT[0], *UPRIGHT[1]])).max() <= 10  # JPEG is not exact
    assert check_images([path]) == check_images([path], decode=True) == {}


@pytest.mark.filterwarnings('ignore:Corrupt EXIF data')
@pytest.mark.parametrize('exif', [b'Exif\0\0nonsense', b'Exif\0\0II*\0\xff\xff\xff\xff', b'Exif\0\0' + b'\xff' * 50])
def test_damaged_exif_data_are_passed_over(tmp_path, exif):
    path = write(tmp_path, 'damaged.jpg', encode(picture(), 'JPEG', exif=exif))
    assert read_image(path).size == (64, 128)
    assert check_images([path]) == check_images([path], decode=True) == {}


def test_pil_is_not_allowed_to_complete_a_truncated_file(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    path = write(tmp_path, 'cut.jpg', JPEG[: len(JPEG) // 2])
    assert 'truncated' in refusal(path)
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    assert list(check_images([path])) == [path]


JPEG2000 = encode(Image.new('RGB', (4001, 4000)), 'JPEG2000', quality_mode='rates', quality_layers=[1000])


@pytest.mark.parametrize('content', [png_of((4001, 4000)), JPEG2000], ids=['png', 'jpeg 2000'])
def test_more_pixels_than_a_crop_has_are_refused_by_the_header(tmp_path, monkeypatch, content):
    monkeypatch.setattr(ImageFile.ImageFile, 'load', None)  # to decode is a TypeError
    path = write(tmp_path, 'large', content)
    reason = 'it has more than 16000000 pixels, no crop of a person'
    assert check_images([path]) == check_images([path], decode=True) == {path: reason}
    assert reason in refusal(path)
    assert is_image(path)


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    decoding, most = [], []

    def decode(image):
        decoding.append(image)
        most.append(len(decoding))
        time.sleep(0.01)
        decoding.remove(image)

    monkeypatch.setattr(images, '_to_rgb', decode)
    monkeypatch.setattr(images, '_CHUNK', 1)
    large = [write(tmp_path, f'{number}.png', png_of((2000, 1000))) for number in range(6)]
    check_images(large, decode=True)
    assert most == [1] * 6


def test_a_lower_limit_of_pil_holds(tmp_path, monkeypatch):
    """PIL itself only warns up to twice its limit."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 64 * 128 - 1)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', None)
    path = write(tmp_path, 'large.png', PNG)
    with pytest.warns(Image.DecompressionBombWarning):
        assert 'more than 8191 pixels' in refusal(path)


def test_out_of_memory_is_not_the_file_s_fault(tmp_path, monkeypatch):
    path = write(tmp_path, 'good.png', PNG)

    def exhaust(image):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, 'load', exhaust)
    with pytest.raises(MemoryError):
        read_image(path)
    with pytest.raises(MemoryError):
        check_images([path], decode=True)


def test_the_order_is_the_one_given(tmp_path):
    """Over several threads' worth of files."""
    good = write(tmp_path, 'good.jpg', JPEG)
    missing = [str(tmp_path / f'{number:03d}.jpg') for number in np.random.default_rng(0).permutation(300)]
    bad = check_images(path for name in missing for path in (good, name))
    assert list(bad) == missing
    assert check_images([]) == {}


def test_bad_in_words():
    bad = {f'/crops/{number}.jpg': 'it is a folder' for number in range(4)}
    assert bad_in_words(bad, limit=2) == (
        '  /crops/0.jpg: it is a folder\n  /crops/1.jpg: it is a folder\n  ... and 2 more'
    )
    assert bad_in_words(bad, limit=4).count('\n') == 3
    assert bad_in_words({'a\nb.jpg': 'it is a folder'}) == r"  'a\nb.jpg': it is a folder"
