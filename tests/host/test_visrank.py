"""torchreid's pictures of ranked results: one for each query, turned as everywhere else."""

import numpy as np
import pytest
from helpers.crops import pictures
from helpers.images import encode
from PIL import Image
from torchreid import utils

from paul_plugin.data.images import BadImage
from paul_plugin.host.visrank import picture_names
from paul_plugin.runtime.names import short_names

PEOPLE = ('anna', 'bob', 'carl', 'dora', 'eve', 'finn')


def test_six_people_with_files_of_one_name_give_six_pictures(make_datamanager, make_engine, tmp_path):
    queries, gallery = ([f'{part}/{person}/1.png' for person in PEOPLE] for part in ('query', 'gallery'))
    top = pictures(tmp_path / 'crops', *queries, *gallery, *(f'{number}.jpg' for number in range(12)))
    for number, query in enumerate(queries):
        Image.new('RGB', (24, 48), (40 * number,) * 3).save(top / query)
    engine = make_engine(make_datamanager(root=top, sources='folder'))
    engine.run(save_dir=str(tmp_path / 'log'), test_only=True, visrank=True, visrank_topk=3)
    drawn = sorted((tmp_path / 'log/visrank_folder').iterdir())
    assert [path.name for path in drawn] == [f'{person}_1.jpg' for person in PEOPLE]
    for number, path in enumerate(drawn):
        with Image.open(path) as picture:
            assert picture.convert('L').getpixel((24, 48)) == pytest.approx(40 * number, abs=4)


def test_images_are_read_as_everywhere_else(tmp_path):
    """Turned by their orientation, 16 bits scaled; a damaged one is refused by name."""
    exif = Image.Exif()
    exif[0x0112] = 3
    half = Image.fromarray(np.repeat(np.array([[255], [0]], np.uint8), [32, 32], axis=0).repeat(32, axis=1))
    (tmp_path / 'q.png').write_bytes(encode(half, 'PNG', exif=exif))
    grey = Image.fromarray(np.full((64, 32), 128 * 257, np.uint16))
    (tmp_path / 'g.tif').write_bytes(encode(grey, 'TIFF'))
    query, gallery = [(str(tmp_path / 'q.png'), 0, 0, 0)], [(str(tmp_path / 'g.tif'), 0, 1, 0)]
    utils.visualize_ranked_results(np.zeros((1, 1)), (query, gallery), 'image', 32, 64, str(tmp_path / 'out'), 1)
    with Image.open(tmp_path / 'out/q.jpg') as picture:
        pixels = np.asarray(picture.convert('L'), int)
    assert pixels[16, 16] < 30
    assert pixels[48, 16] > 225
    assert abs(pixels[32, -16] - 128) < 10
    (tmp_path / 'g.tif').write_bytes(b'no image')
    with pytest.raises(BadImage, match='g.tif'):
        utils.visualize_ranked_results(np.zeros((1, 1)), (query, gallery), 'image', 32, 64, str(tmp_path / 'out'), 1)


def test_pictures_have_names_of_their_own():
    assert picture_names(['/q/1.png', '/q/1.jpg', '/q/a/b_c.png', '/q/a_b/c.png']) == ['1', '1_2', 'b_c', 'c']
    assert picture_names(['/q/a_b/c.png', '/q/x/c.png', '/q/a/b_c.png', '/p/b_c.png']) == [
        'a_b_c',
        'x_c',
        'a_b_c_2',
        'p_b_c',
    ]


@pytest.mark.parametrize(
    ('paths', 'expected'),
    [
        ([], []),
        (['/a/1.jpg'], ['1.jpg']),
        (['/q/anna/1.png', '/q/bob/1.png', '/q/bob/2.png'], ['anna/1.png', 'bob/1.png', '2.png']),
        (['/x/a/b/1', '/y/a/b/1'], ['x/a/b/1', 'y/a/b/1']),
        (['1', 'a/1'], ['1', 'a/1']),
        (['/1', '1'], ['/1', '1']),
    ],
)
def test_the_shortest_path_that_tells_files_apart(paths, expected):
    assert list(short_names(paths).values()) == expected


def test_the_shortest_path_among_others():
    others = (f'/g/{person}/{number}.jpg' for person in 'ab' for number in (1, 2))
    found = short_names(['/g/a/1.jpg', '/q/3.jpg', '/q/a/2.jpg'], others)
    assert list(found.values()) == ['a/1.jpg', '3.jpg', 'q/a/2.jpg']
