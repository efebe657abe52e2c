"""Descriptors of a folder in one file: what is in it, killed and resumed, what is left out, what is refused."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.forks import Fork
from PIL import Image

from paul_plugin.commands import command
from paul_plugin.commands import extract as tool
from paul_plugin.config.settings import with_keys
from paul_plugin.data.images import read_image
from paul_plugin.deploy import extraction
from paul_plugin.deploy.descriptor_file import read_descriptors, read_meta
from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.kept_chunks import Kept
from paul_plugin.deploy.search import read_gallery
from paul_plugin.runtime.errors import UserError


@pytest.fixture
def crops(rendered, tmp_path):
    """18 images at three depths, and what is none: a hidden one, a text, an empty one, two damaged ones."""
    folder = tmp_path / 'crops'
    (folder / 'b/c').mkdir(parents=True)
    for place, path in enumerate(sorted(rendered.rglob('query/*.jpg'))[:18]):
        shutil.copy(path, folder / ('', 'b', 'b/c')[place % 3] / f'{place:02d}.jpg')
    shutil.copy(folder / '00.jpg', folder / '.hidden.jpg')
    (folder / 'notes.txt').write_text('no image')
    (folder / 'b/empty.jpg').touch()
    whole = (folder / '03.jpg').read_bytes()
    (folder / 'b/half.jpg').write_bytes(whole[: len(whole) // 2])
    Image.effect_noise((48, 96), 50).save(tmp_path / 'noise.png')
    damaged = bytearray((tmp_path / 'noise.png').read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (folder / 'b/middle.png').write_bytes(damaged)  # found only when it is decoded
    return folder


BAD = {'notes.txt', 'b/empty.jpg', 'b/half.jpg', 'b/middle.png'}


@pytest.mark.parametrize('suffix', ['.npz', '.parquet'])
def test_describes_every_image(trained, crops, tmp_path, suffix):
    target = tmp_path / f'new folder/descriptors{suffix}'
    done = extract(trained, crops, target, batch_size=4, chunk=7)
    assert done.count == 18
    assert done.left_out.keys() == BAD
    assert [path.name for path in target.parent.iterdir()] == [target.name]

    assert read_meta(target)['length'] == 1
    paths, descriptors = read_descriptors(target)
    expected = [path for path in crops.rglob('*.jpg') if path.relative_to(crops).as_posix() not in BAD]
    assert paths == sorted(str(path) for path in expected if not path.name.startswith('.'))
    with torch.no_grad():
        for path, descriptor in zip(paths, descriptors, strict=True):
            alone = trained.model(trained.transform()(read_image(path))[None])[0]
            torch.testing.assert_close(descriptor, alone / alone.norm())


def test_formats_agree_and_are_plain(trained, crops, tmp_path):
    """The two hold the same; each is read without this project, and the folder may have moved with its file."""
    files = [tmp_path / 'descriptors.npz', tmp_path / 'descriptors.parquet']
    for file in files:
        extract(trained, crops, file, chunk=7)
    (paths, descriptors), (others, same) = map(read_descriptors, files)
    assert paths == others
    assert descriptors.equal(same)
    with np.load(files[0], allow_pickle=False) as arrays:
        assert arrays['descriptors'].dtype == np.float32
        assert [str(crops / name) for name in arrays['paths']] == paths
        meta = json.loads(str(arrays['meta']))
    assert [meta[key] for key in ('model', 'height', 'width', 'dim')] == ['paul_osnet_x0_25', 96, 48, 96]
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(files[1])
    assert json.loads(table.schema.metadata[b'meta']) == meta
    assert np.array_equal(np.stack(table['descriptor'].to_numpy()), descriptors.numpy())

    (tmp_path / 'elsewhere').mkdir()
    for item in (*crops.iterdir(), files[0]):
        shutil.move(item, tmp_path / 'elsewhere' / item.name)
    crops.rmdir()
    paths, _ = read_descriptors(tmp_path / 'elsewhere/descriptors.npz')
    assert all(Path(path).is_file() for path in paths)


def test_stopped_and_gone_on(trained, crops, tmp_path, monkeypatch):
    """Stopped in each of its chunks and once while the file is written, it ends with the same bytes."""
    whole, target = tmp_path / 'whole.npz', tmp_path / 'stopped.npz'
    extract(trained, crops, whole, batch_size=2, chunk=5)
    describe, calls = extraction.describe, []

    def stopping(*args):
        """Stops in the second batch of a chunk."""
        calls.append(args)
        for place, block in enumerate(describe(*args)):
            if place == 1:
                raise KeyboardInterrupt
            yield block

    for done in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(extraction, 'describe', stopping)
            with pytest.raises(KeyboardInterrupt):
                extract(trained, crops, target, batch_size=2, chunk=5)
        parts = sorted(path.name for path in (tmp_path / 'stopped.npz.parts').glob('0*.npz'))
        assert len(parts) == done
        assert not target.exists()
        with monkeypatch.context() as patch:  # goes on by one chunk
            patch.setattr(Kept, 'save', once(Kept.save))
            with pytest.raises(KeyboardInterrupt):
                extract(trained, crops, target, batch_size=2, chunk=5)
    with monkeypatch.context() as patch:
        patch.setattr(Kept, '_own', once(Kept._own, after=6))
        with pytest.raises(KeyboardInterrupt):
            extract(trained, crops, target, batch_size=2, chunk=5)
    assert not target.exists()
    left = extract(trained, crops, target, batch_size=2, chunk=5).left_out
    assert target.read_bytes() == whole.read_bytes()
    assert left.keys() == BAD
    assert not (tmp_path / 'stopped.npz.parts').exists()


def once(function, after=1):
    """A function that stops the program when it was called so often."""
    calls = []

    def wrapped(*args):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(args)
        return function(*args)

    return wrapped


def test_kept_descriptors_of_something_else(trained, make_trained, crops, tmp_path, monkeypatch):
    target = tmp_path / 'descriptors.npz'
    with monkeypatch.context() as patch:
        patch.setattr(Kept, 'save', once(Kept.save))
        with pytest.raises(KeyboardInterrupt):
            extract(trained, crops, target, chunk=5)
    other = make_trained(seed=1)
    for model, options, what in ((other, {'chunk': 5}, 'model'), (trained, {'chunk': 6}, 'chunk')):
        with pytest.raises(UserError, match=rf'another extraction \(other {what}\): delete it, or --force'):
            extract(model, crops, target, **options)
    shutil.copy(crops / '00.jpg', crops / 'new.jpg')
    with pytest.raises(UserError, match=r'other images'):
        extract(trained, crops, target, chunk=5)
    assert extract(other, crops, target, force=True).count == 19
    with pytest.raises(UserError, match='exists: give another name, or --force'):
        extract(other, crops, target)
    expected = extract(other, crops, tmp_path / 'anew.npz').path.read_bytes()
    assert target.read_bytes() == expected


@pytest.mark.parametrize('name', ['notes.txt', 'manifest.json', 'a.npz', '000000000.npz'])
@pytest.mark.parametrize('force', [False, True])
def test_a_folder_of_the_users_own_is_kept(trained, crops, tmp_path, name, force):
    own = tmp_path / 'a.npz.parts' / name
    own.parent.mkdir()
    own.write_text('{"mine": 1}')
    with pytest.raises(UserError, match='parts is not of an extraction.*: move it, or give another name'):
        extract(trained, crops, tmp_path / 'a.npz', force=force)
    assert own.read_text() == '{"mine": 1}'
    assert [path.name for path in own.parent.iterdir()] == [name]


def test_only_what_it_made_is_removed(trained, crops, tmp_path, monkeypatch):
    """A file that the user puts beside what is kept, and the two ways to the folder's end."""
    parts = tmp_path / 'a.npz.parts'
    for options in ({'chunk': 5}, {'chunk': 6, 'force': True}):
        with monkeypatch.context() as patch:
            patch.setattr(Kept, 'save', once(Kept.save))
            with pytest.raises(KeyboardInterrupt):
                extract(trained, crops, tmp_path / 'a.npz', chunk=5)
        (parts / 'notes.txt').write_text('mine')
        assert extract(trained, crops, tmp_path / 'a.npz', **options).count == 18
        assert [path.name for path in parts.iterdir()] == ['notes.txt']
        (parts / 'notes.txt').unlink()
        (tmp_path / 'a.npz').unlink()
    parts.rmdir()
    parts.write_text('a file')
    with pytest.raises(UserError, match='parts is needed for what is done and cannot be opened'):
        extract(trained, crops, tmp_path / 'a.npz')


@pytest.mark.parametrize('where', ['list_files', '_open_parts', 'check_images', 'second'])
def test_files_that_vanish_meanwhile(trained, crops, tmp_path, monkeypatch, where):
    """After they were listed, looked at once, or looked at twice, as where another program tidies up."""
    looked = []

    def vanishing(function):
        def wrapped(*args):
            result = function(*args)
            looked.append(args)
            if where != 'second' or len(looked) == 2:
                (crops / '06.jpg').unlink(missing_ok=True)
            return result

        return wrapped

    name = 'check_images' if where == 'second' else where
    monkeypatch.setattr(extraction, name, vanishing(getattr(extraction, name)))
    done = extract(trained, crops, tmp_path / 'a.npz', batch_size=4)
    assert not (crops / '06.jpg').exists()
    assert done.count == 17
    assert done.left_out.keys() == BAD | {'06.jpg'}
    assert done.left_out['06.jpg'] == 'there is no such file'
    paths, descriptors = read_descriptors(done.path)
    assert str(crops / '06.jpg') not in paths
    assert len(paths) == len(descriptors) == 17


def refuse(trained, folder, target):
    with pytest.raises(UserError) as refused:
        extract(trained, folder, target)
    return str(refused.value)


def test_a_name_that_is_no_text_is_left_out(trained, crops, tmp_path):
    name = os.fsdecode(b'\xff.jpg')
    shutil.copy(crops / '00.jpg', crops / name)
    done = extract(trained, crops, tmp_path / 'a.npz')
    assert done.left_out.keys() == BAD | {name}
    assert done.left_out[name] == 'its name is no Unicode text'


def test_refuses(trained, crops, tmp_path):
    assert 'no folder of images' in refuse(trained, tmp_path / 'nowhere', tmp_path / 'a.npz')
    assert 'is no folder of images but a file' in refuse(trained, crops / '00.jpg', tmp_path / 'a.npz')
    assert 'must end in .npz or .parquet' in refuse(trained, crops, tmp_path / 'a.csv')
    assert 'lies among the images' in refuse(trained, crops, crops / 'b/a.npz')
    (tmp_path / 'empty').mkdir()
    assert refuse(trained, tmp_path / 'empty', tmp_path / 'a.npz') == f'no image in {tmp_path}/empty that can be read'
    (tmp_path / 'empty/notes.txt').write_text('no image')
    assert 'notes.txt: it is no image' in refuse(trained, tmp_path / 'empty', tmp_path / 'a.npz')
    assert not list(tmp_path.glob('a.npz*'))


@pytest.mark.parametrize('suffix', ['.npz', '.parquet'])
def test_damaged_files_are_refused(trained, crops, tmp_path, suffix):
    file = extract(trained, crops, tmp_path / f'a{suffix}').path
    whole = file.read_bytes()
    for bad in (b'', whole[: len(whole) // 2], b'no archive'):
        file.write_bytes(bad)
        with pytest.raises(UserError, match='is damaged'):
            read_descriptors(file)
    with pytest.raises(UserError, match='no file of descriptors at'):
        read_descriptors(tmp_path / f'b{suffix}')


def test_tool_with_pca(embedded_run, crops, tmp_path, capsys):
    words = [embedded_run, crops, tmp_path / 'short.npz', '--dim', '8', '--workers', '0']
    command.main(tool, [str(word) for word in words])
    out, err = capsys.readouterr()
    first, second, *listed, last = out.splitlines()
    assert first == f'{tmp_path}/short.npz: 18 descriptors of 8 numbers'
    assert second == '4 files were left out:'
    assert {line.split(':')[0].strip() for line in listed[:4]} == BAD  # then torchreid's note on so few images
    assert last.startswith('mAP on synthetic_target: ')
    assert 'images/s' in err
    _, descriptors = read_descriptors(tmp_path / 'short.npz')
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(18))


def test_killed_program(trained, crops, tmp_path):
    """The real command, with workers, killed while it works; then again to its end."""
    for place in range(120):
        shutil.copy(crops / '00.jpg', crops / f'b/many{place}.jpg')
    target = tmp_path / 'descriptors.npz'
    code = (
        'import sys; from paul_plugin.commands import command, extract as tool\n'
        'from paul_plugin.deploy.extraction import extract\n'
        'extract.__defaults__ = (64, 0, False, 10, False, "auto"); command.main(tool, sys.argv[1:])'
    )
    first = Fork(code, trained.path, crops, target, '--workers', 1)
    while first.poll() is None and not list(tmp_path.glob('descriptors.npz.parts/0*.npz')):
        time.sleep(0.02)
    first.kill()
    assert first.poll() == -signal.SIGKILL
    parts = list(tmp_path.glob('descriptors.npz.parts/0*.npz'))
    assert parts
    assert not target.exists()
    extract(trained, crops, target, chunk=10)
    expected = extract(trained, crops, tmp_path / 'whole.npz', chunk=10).path
    assert target.read_bytes() == expected.read_bytes()


def test_centred_by_the_cameras_of_the_folder(trained, crops, tmp_path, capsys):
    """In chunks, one of them without an image; and cameras that are not known of all images."""
    plain, target = tmp_path / 'plain.npz', tmp_path / 'centred.npz'
    extract(trained, crops, plain)
    words = [str(trained.path), str(crops), str(target), '--centre-cameras', '--workers', '0']
    with pytest.raises(UserError, match='--centre-cameras: 21 of 21 images in .* such as .*, a regular expression'):
        tool.run(tool.parse(words))
    assert not target.exists()
    pattern = r'(\d)\.'  # the last digit of a name
    cfg = with_keys(trained.cfg, {'folder.camera': pattern})
    told = trained._replace(cfg=cfg)
    with pytest.raises(UserError, match=r'folder.camera = .*: 3 of 21 images in .* do not match'):
        extract(told, crops, target, centre_cameras=True)

    for name in BAD - {'notes.txt'}:
        (crops / name).rename((crops / name).with_stem(f'{Path(name).stem}-0'))
    assert extract(told, crops, target, chunk=1, centre_cameras=True).cameras == 10
    assert capsys.readouterr().out.splitlines()[-1] == (
        'warning: cameras with a single image, which makes no mean (2 of 10): 8, 9: '
        "the mean over the other cameras' means is taken off"
    )
    (paths, before), (others, after) = map(read_descriptors, (plain, target))
    assert paths == others
    torch.testing.assert_close(after.norm(dim=1), torch.ones(18))
    own = {path[-5]: [row for row, file in zip(before, paths) if file[-5] == path[-5]] for path in paths}
    means = {camera: sum(rows) / len(rows) for camera, rows in own.items() if len(rows) > 1}
    overall = sum(means.values()) / len(means)
    for row, path, found in zip(before, paths, after):
        off = row - means.get(path[-5], overall)
        torch.testing.assert_close(found, off / off.norm().clamp(min=1e-6), atol=1e-3, rtol=0)
    with pytest.raises(UserError, match='without the mean of their camera'):
        read_gallery(trained, target)

    each = trained._replace(cfg=with_keys(trained.cfg, {'folder.camera': '([^/]+)$'}))
    with pytest.raises(UserError, match='a single image makes no mean, and no camera in .* has more .21 images.:'):
        extract(each, crops, tmp_path / 'each.npz', centre_cameras=True)
    assert not list(tmp_path.glob('each*'))


def test_a_damaged_part_is_named(trained, dozen, tmp_path, monkeypatch):
    target = tmp_path / 'a.npz'
    with monkeypatch.context() as patch:
        patch.setattr(Kept, 'save', once(Kept.save, after=2))
        with pytest.raises(KeyboardInterrupt):
            extract(trained, dozen, target, batch_size=4, chunk=4)
    part = sorted((tmp_path / 'a.npz.parts').glob('0*.npz'))[0]
    part.write_bytes(part.read_bytes()[:-200])
    with pytest.raises(UserError, match=f'{part} is damaged: delete it, the same command makes it again'):
        extract(trained, dozen, target, batch_size=4, chunk=4)
    part.unlink()
    assert len(read_descriptors(extract(trained, dozen, target, batch_size=4, chunk=4).path)[0]) == 12
