"""Any image against any gallery: what is found, known and unknown, as pictures and as files."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from helpers.images import colours_of
from PIL import Image

from paul_plugin.commands import command, visualize
from paul_plugin.commands.rankings import captioned
from paul_plugin.deploy.as_tested import described, distances
from paul_plugin.deploy.centred import centring_of
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.search import read_gallery, search
from paul_plugin.figures.sheet import GREY, RIGHT
from paul_plugin.runtime.errors import UserError


def test_one_image_against_a_folder(embedded_run, queries, tmp_path, capsys):
    crops = tmp_path / 'crops/inner'
    crops.mkdir(parents=True)
    copies = [crops / Path(query).name for query in queries[:4]]
    for path, query in zip(copies, queries):
        path.write_bytes(Path(query).read_bytes())
    (crops / 'broken.jpg').write_bytes(copies[0].read_bytes()[:500])
    out = tmp_path / 'search.png'
    words = ['--query', queries[0], str(copies[1]), '--gallery', str(tmp_path / 'crops'), '--out', str(out)]
    command.main(visualize, ['ranking', str(embedded_run), '--root', '/nowhere', *words])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'1 of 5 images in {tmp_path / "crops"} cannot be read and are left out:'
    assert lines[2] == queries[0]
    assert float(lines[3].split()[0]) == pytest.approx(0, abs=1e-4)
    assert lines[3].endswith(str(copies[0]))
    assert lines[7] == str(copies[1])
    assert lines[8:11] == sorted(lines[8:11])  # a query that is in the folder does not find itself
    names = [tmp_path / f'search_{Path(query).stem}.png' for query in queries[:2]]
    assert lines[11:] == [f'Written to {name}' for name in names]
    for name in names:
        with Image.open(name) as image:
            assert RIGHT not in colours_of(image)
    assert not out.exists()


def test_a_threshold_and_files_of_what_is_found(embedded_run, trained, queries, tmp_path, capsys):
    """Two queries of one name, of two people: two pictures, and the names that tell them apart."""
    crops = tmp_path / 'crops'
    for number, query in enumerate(queries[:5]):
        (crops / f'{number}').mkdir(parents=True)
        (crops / f'{number}/1.jpg').write_bytes(Path(query).read_bytes())
    sought = [str(crops / '0/1.jpg'), str(crops / '4/1.jpg')]
    plain = search(trained, sought, read_gallery(trained, crops))
    assert [each.known for each in plain] == [None, None]
    paths = [*map(str, crops.rglob('*.jpg'))]
    assert [each.about for each in captioned(plain, paths)] == ['0/1.jpg', '4/1.jpg']
    threshold = sorted(distance for each in plain for distance in each.distances)[4]
    words = ['--query', *sought, '--gallery', str(crops), '--threshold', str(threshold), '--pixels', '60']
    files = [tmp_path / 'new/found.json', tmp_path / 'found.csv']
    words += ['--json', str(files[0]), '--csv', str(files[1]), '--out', str(tmp_path / 'a.png')]
    command.main(visualize, ['ranking', str(embedded_run), *words])
    expected = [
        [each.query, rank, path, distance, distance < threshold]
        for each in plain
        for rank, (path, distance) in enumerate(zip(each.gallery, each.distances), start=1)
    ]
    assert sum(row[-1] for row in expected) == 4
    rows = json.loads(files[0].read_text())
    assert [list(row.values()) for row in rows] == expected
    table = list(csv.DictReader(files[1].open()))
    names = ['query', 'rank', 'file', 'distance', 'known']
    assert [list(row) for row in table] == [list(row) for row in rows] == [names] * 8
    assert [row['known'] for row in table] == [str(row['known']).lower() for row in rows]
    assert [float(row['distance']) for row in table] == [row['distance'] for row in rows]
    lines = capsys.readouterr().out.splitlines()
    assert [' unknown  ' in line for line in lines if line.startswith('  ')] == [not row[-1] for row in expected]
    assert lines[-2:] == [f'Written to {tmp_path}/a_{number}_1.png' for number in (0, 4)]
    for number in (0, 4):
        with Image.open(tmp_path / f'a_{number}_1.png') as image:
            assert GREY in colours_of(image)


def test_one_path_alone_and_no_distance_below_nothing(trained, queries):
    gallery = read_gallery(trained, Path(queries[0]).parent)
    (expected,) = search(trained, queries[:1], gallery)
    for alone in (queries[0], Path(queries[0])):
        (found,) = search(trained, alone, gallery)
        assert (found.query, found.gallery) == (queries[0], expected.gallery)
    doubled = [queries[1], *gallery[0]], torch.cat([described(trained, queries[:1]) * (1 + 1e-6), gallery[1]])
    (found,) = search(trained, queries[0], doubled)
    assert found.distances[0] >= 0


def test_targets_are_checked_before_the_work(embedded_run, queries, tmp_path, capsys):
    crops = tmp_path / 'crops'
    crops.mkdir()
    query = tmp_path / 'q.jpg'
    query.write_bytes(Path(queries[0]).read_bytes())
    (tmp_path / 'there.csv').touch()
    words = ['ranking', str(embedded_run), '--query', str(query), '--gallery', str(crops)]
    for more, expected in (
        (['--csv', str(query)], 'q.jpg is read for it, and would be lost'),
        (['--json', str(tmp_path / 'there.csv')], 'there.csv exists: give another name, or --force'),
        (['--json', str(tmp_path / 'f'), '--csv', str(tmp_path / 'f')], 'f is to be written twice'),
        (['--csv', str(tmp_path / 'a.png'), '--out', str(tmp_path / 'a.png')], 'a.png is to be written twice'),
        (['--csv', str(crops / 'a.csv')], 'a.csv lies among the images that are read'),
    ):
        with pytest.raises(SystemExit):
            command.main(visualize, [*words, *more])
        assert expected in capsys.readouterr().err
    assert query.read_bytes() == Path(queries[0]).read_bytes()
    for name in ('history', 'results', 'signs'):
        out = str(embedded_run / f'{name}.png')
        with pytest.raises(SystemExit):
            command.main(visualize, ['distances', str(embedded_run), '--out', out, '--force'])
        assert f'{name}.json is what a run keeps in its folder' in capsys.readouterr().err


def test_a_centred_search(embedded_run, trained, queries, rendered, tmp_path, capsys):
    """In a folder and in its file of descriptors, by a query of a camera of the gallery, and of an unknown one."""
    top = Path(queries[0]).parent
    extract(trained, top, tmp_path / 'gallery.npz')
    paths, gallery = read_gallery(trained, tmp_path / 'gallery.npz')
    cameras = [re.search(r'_c(\d)', path)[1] for path in paths]
    means = {
        camera: torch.stack([row for row, other in zip(gallery, cameras) if other == camera]).mean(0)
        for camera in cameras
    }
    centred = torch.stack([row - means[camera] for row, camera in zip(gallery, cameras)])
    query = sorted(rendered.glob('synthetic_target/*/bounding_box_test/*.jpg'))[0]
    overall = torch.stack([*means.values()]).mean(0)
    for place, words, mean in ((top, ['--camera', '3'], means['3']), (tmp_path / 'gallery.npz', [], overall)):
        nearest = distances(trained, described(trained, [query]) - mean, centred)[0].sort().values[:5]
        options = ['--k', '5', '--out', str(tmp_path / 'search.png'), '--force', '--centre-cameras', *words]
        sought = ['--query', str(query), '--gallery', str(place)]
        command.main(visualize, ['ranking', str(embedded_run), *sought, *options])
        lines = capsys.readouterr().out.splitlines()[1:-1]
        assert [float(line.split()[0]) for line in lines] == pytest.approx(nearest.tolist(), abs=2e-3)
    with pytest.raises(UserError, match='--camera 77: the gallery has no such camera: one of 1, 2, 3, 4, 5, 6, or'):
        centring_of(trained, (paths, gallery), str(top), '77')


def test_a_centred_search_names_cameras_with_a_single_image(trained, queries, tmp_path, capsys):
    """A query of such a camera, which the gallery knows, takes off the mean over the others."""
    top = tmp_path / 'crops'
    top.mkdir()
    for place, path in enumerate(queries[:5]):
        (top / f'{place}_c{place // 2 + 1}.jpg').write_bytes(Path(path).read_bytes())
    paths, gallery = read_gallery(trained, top)
    centring = centring_of(trained, (paths, gallery), str(top), '3')
    assert capsys.readouterr().out.startswith('warning: cameras with a single image, which makes no mean (1 of 3): 3: ')
    (found,) = search(trained, queries[4], (paths, gallery), centring=centring)
    overall = (gallery[:2].mean(0) + gallery[2:4].mean(0)) / 2
    expected = distances(trained, gallery[4:] - overall, centring.means.centred(gallery, centring.cameras))[0]
    assert found.distances == pytest.approx(expected.sort().values.clamp(min=0).tolist(), abs=1e-4)


def test_a_folder_without_a_crop_that_can_be_read_is_no_gallery(trained, tmp_path):
    (tmp_path / 'crops').mkdir()
    with pytest.raises(UserError, match='^no image in the folder .*crops: name a folder of crops'):
        read_gallery(trained, tmp_path / 'crops')
    (tmp_path / 'crops/a.jpg').touch()
    with pytest.raises(UserError, match='^not one image in the folder .*crops can be read'):
        read_gallery(trained, tmp_path / 'crops')
