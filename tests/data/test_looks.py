"""What reduced pictures tell of a folder: near-copies, one picture in two files, pictures without contrast."""

import numpy as np
import pytest
from helpers.crops import names, pictures, refusal
from PIL import Image

from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.config.keys import get_default_config
from paul_plugin.config.settings import with_keys
from paul_plugin.data.folder import FolderDataset, read_crops
from paul_plugin.data.images import read_image, stretched
from paul_plugin.data.looks import look_at
from paul_plugin.data.synthetic.cameras import render_image
from paul_plugin.deploy.export import metadata_of
from paul_plugin.deploy.fingerprint import fingerprint
from paul_plugin.figures.sheet import to_height
from paul_plugin.run.data import build_datamanager
from paul_plugin.run.model_keys import config_of

PEOPLE, FRAMES = range(1, 7), range(8)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def person(pid, camera=1, index=0):
    return render_image('target', 0, pid, camera=camera, index=index)


# ---- near-copies ---------------------------------------------------------------------------------------------------


@pytest.fixture
def video(tmp_path):
    """Six people under two cameras, each saved in eight frames: the box shakes by 1 %, the sensor is noisy."""
    rng = np.random.default_rng(0)
    for pid in PEOPLE:
        for camera in (1, 2):
            image = person(pid, camera)
            for frame in FRAMES:
                box = np.array([1.28, 1.28, 62.72, 126.72]) + rng.uniform(-0.64, 0.64, 4)
                seen = image.resize((64, 128), Image.Resampling.BILINEAR, box=tuple(box))
                noisy = np.asarray(seen) + rng.normal(0, 3, (128, 64, 3))
                seen = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
                save(seen, tmp_path / f'c{camera}/{pid}-{frame}.jpg', quality=85)
    return tmp_path


def test_one_of_each_track_stands_for_the_rest(video):
    crops = read_crops(str(video), camera='^c(.)')
    left = names(crops.train, video)
    tracks = {(name[:4]) for name in left}  # c1/1
    assert len(tracks) == 12  # every person under every camera is still there
    assert len(left) <= 14  # and hardly one is there twice
    assert len(crops.train_cameras) == len(left)
    (said,) = [line for line in crops.notes['training'] if 'near-copies' in line]
    assert said == (
        f'  near-copies: {96 - len(left)} of 96 crops nearly equal another of their camera, such as '
        f'c1/1-1.jpg (= c1/1-0.jpg): {len(left)} are trained on, one for those that it nearly equals '
        '(folder.near_copies keep takes all); of a video, one frame a second is enough (vid_stride)'
    )
    kept = read_crops(str(video), camera='^c(.)', near_copies='keep')
    assert len(kept.train) == 96
    assert f'{96 - len(left)} of 96 crops' in kept.notes['training'][2]
    assert 'all are trained on, which blinds neighbours and signs' in kept.notes['training'][2]


def test_another_word_is_refused_in_user_code(video):
    message = refusal(lambda: FolderDataset(path=str(video), near_copies='none'))
    assert message == "folder.near_copies = 'none': must be one or keep"


def test_two_people_and_two_views_are_no_near_copies(tmp_path):
    """Sixty people who share backgrounds, and several views of one."""
    for pid in range(1, 61):
        for index in range(2):
            save(person(pid, index=index), tmp_path / f'{pid}-{index}.jpg')
    crops = read_crops(str(tmp_path))
    assert len(crops.train) == 120
    assert not any('near-copies' in line for line in crops.notes['training'])


def test_one_moment_under_two_cameras_is_no_near_copy(tmp_path):
    for pid in PEOPLE:
        save(person(pid), tmp_path / f'a/{pid}.jpg', quality=90)
        save(person(pid), tmp_path / f'b/{pid}.jpg', quality=80)
    assert len(read_crops(str(tmp_path), camera='^(.)/').train) == 12
    assert len(read_crops(str(tmp_path)).train) == 6  # of cameras that nobody knows


def test_many_blocks_of_pictures_give_what_one_gives(tmp_path, monkeypatch, video):
    expected = read_crops(str(video), camera='^c(.)')
    monkeypatch.setattr('paul_plugin.data.looks._BLOCK', 5)
    monkeypatch.setattr('paul_plugin.data.looks._CHUNK', 7)
    assert read_crops(str(video), camera='^c(.)') == expected


def test_the_key_reaches_the_run(video):
    cfg = get_default_config()
    cfg.data.update({'sources': ['folder'], 'targets': ['folder'], 'workers': 0, 'save_dir': str(video / 'log')})
    cfg.folder.update({'path': str(video), 'camera': '^c(.)'})
    cfg.train.batch_size = 4
    sizes = []
    for way in ('one', 'keep'):
        cfg.folder.near_copies = way
        sizes.append(len(build_datamanager(cfg).train_loader.dataset))
    assert sizes == [len(read_crops(str(video), camera='^c(.)').train), 96]


def test_a_run_from_before_the_key_has_trained_on_all():
    """Its tools must find the images of its memory bank again."""
    cfg = get_default_config()
    before = cfg.dump().replace('  near_copies: one\n', '')
    assert config_of(WeightsFile('file', {'config': before})).folder.near_copies == 'keep'
    assert config_of(WeightsFile('file', {'config': cfg.dump()})).folder.near_copies == 'one'


# ---- one picture in two files --------------------------------------------------------------------------------------


def test_queries_that_find_their_own_picture_are_told(tmp_path):
    for pid in PEOPLE:
        save(person(pid), tmp_path / f'query/{pid}/1.jpg')
        save(person(pid), tmp_path / f'gallery/{pid}/1.png')
        save(person(pid, camera=2), tmp_path / f'gallery/{pid}/2.png')
    crops = read_crops(str(tmp_path))
    assert (
        '  warning: 6 of 6 queries find their own picture, saved anew, in the gallery, such as query/1/1.jpg '
        '(= gallery/1/1.png): the results say nothing of these: take such pictures out'
    ) in crops.notes['test']
    assert len(crops.gallery) == 12
    for pid in PEOPLE:
        (tmp_path / f'gallery/{pid}/1.png').unlink()
    assert not any('own picture' in line for line in read_crops(str(tmp_path)).notes['test'])


def test_a_csv_file_that_lists_a_picture_under_two_cameras(tmp_path):
    for pid in (1, 2):
        save(person(pid), tmp_path / f'{pid}.jpg')
        save(person(pid), tmp_path / f'{pid}.webp')
    labels = tmp_path / 'labels.csv'
    labels.write_text('path,pid,camid\n1.jpg,a,1\n1.webp,a,2\n2.jpg,b,1\n2.webp,b,1\n')
    notes = read_crops(str(tmp_path), str(labels)).notes['test']
    assert any('warning: 2 of 4 queries find their own picture' in line for line in notes)  # those of a


def test_what_is_tested_on_stays_out_of_training_in_any_format(tmp_path):
    """The pages promise it (own-cameras.md); it held for the same bytes only."""
    for pid in PEOPLE:
        for part, camera in (('query', 1), ('gallery', 2)):
            save(person(pid, camera), tmp_path / f'{part}/{pid}/1.jpg', quality=90)
        save(person(pid, camera=3), tmp_path / f'mine/{pid}.jpg')
    expected = read_crops(str(tmp_path))
    small = person(2).resize((48, 96), Image.Resampling.LANCZOS)
    again = tmp_path / 'again'
    for image, name, options in (
        (Image.open(tmp_path / 'query/1/1.jpg'), 'bitmap.bmp', {}),
        (Image.open(tmp_path / 'query/2/1.jpg'), 'worse.jpg', {'quality': 40}),
        (Image.open(tmp_path / 'gallery/3/1.jpg'), 'lossless.png', {}),
        (small, 'smaller.webp', {}),
    ):
        save(image, again / name, **options)
    crops = read_crops(str(tmp_path))
    assert crops.train == expected.train
    (said,) = [line for line in crops.notes['training'] if 'saved anew' in line]
    assert said == (
        '  left out: copy of another image, saved anew (4): again/bitmap.bmp (= query/1/1.jpg), again/lossless.png '
        '(= gallery/3/1.jpg), again/smaller.webp (= query/2/1.jpg), again/worse.jpg (= query/2/1.jpg)'
    )


# ---- pictures without contrast -------------------------------------------------------------------------------------


def thermal(pid, path):
    """A crop as a thermal camera saves it: 16 bits, of which it takes 200 values; one pixel is dead."""
    grey = np.asarray(person(pid).convert('L')).astype(np.uint16)
    values = 30_000 + grey * 200 // 255
    values[0, 0] = 0
    save(Image.fromarray(values), path)


@pytest.fixture
def thermals(tmp_path):
    for pid in PEOPLE:
        thermal(pid, tmp_path / f'{pid}.png')
        thermal(pid + 10, tmp_path / f'{pid}.tif')
    return tmp_path


def test_thermal_crops_that_would_be_one_grey_are_refused(thermals):
    message = refusal(read_crops, str(thermals))
    assert message == (
        f'{thermals}: 12 of 12 pictures have no contrast, such as 1.png, 1.tif, 2.png: they are grey ones of 16 bits '
        'and take a small part of the range, as thermal ones do: data.stretch True scales each from its own darkest to '
        'its brightest'
    )
    assert len(read_crops(str(thermals), stretch=True).train) == 12  # and no two are near-copies
    assert 'have no contrast' in refusal(lambda: FolderDataset(path=str(thermals)))


def test_a_stretched_crop_is_as_good_as_one_of_8_bits(thermals):
    path = thermals / '1.png'
    assert np.asarray(read_image(str(path))).std() < 2
    image = stretched(read_image(str(path)))
    expected = np.asarray(person(1).convert('L'), np.float32)
    assert (image.mode, image.size) == ('RGB', (64, 128))
    found = np.asarray(image, np.float32)[..., 0]
    assert np.corrcoef(found[1:].ravel(), expected[1:].ravel())[0, 1] > 0.99
    assert found.std() > 40
    assert stretched(person(1)) == person(1)


def test_the_key_reaches_training_test_and_tools(thermals, make_trained):
    cfg = get_default_config()
    cfg.data.update({'sources': ['folder'], 'targets': ['folder'], 'workers': 0, 'save_dir': str(thermals / 'log')})
    cfg.data.update({'height': 96, 'width': 48, 'transforms': ['surrogate_positive'], 'stretch': True})
    cfg.folder.path = str(thermals)
    cfg.train.batch_size = 4
    datamanager = build_datamanager(cfg)
    tested = datamanager.transform_te(read_image(thermals / '1.png'))
    for image in (*datamanager.train_loader.dataset[0]['img'], tested):
        assert image.std() > 0.5  # in units of ImageNet's

    trained = make_trained()
    files = [str(thermals / f'{pid}.png') for pid in PEOPLE]
    for stretch, alike in ((False, True), (True, False)):
        trained = trained._replace(cfg=with_keys(trained.cfg, {'data.stretch': stretch}))
        descriptors = trained.describe(files)
        cosine = (descriptors @ descriptors.T).min()
        assert (cosine > 0.999) == alike, cosine
        # What leaves says so, and descriptors of the two ways are not compared.
        assert ('stretch' in fingerprint(trained)) == ('stretch' in metadata_of(trained)) == stretch


def test_pictures_show_what_is_on_a_thermal_crop(thermals):
    assert np.asarray(to_height(read_image(str(thermals / '1.png')), 96)).std() > 40


def test_a_few_pictures_without_contrast_are_named(tmp_path):
    top = pictures(tmp_path, *(f'{number}.jpg' for number in range(6)))
    save(Image.new('RGB', (24, 48), (90, 90, 90)), top / 'grey.png')
    crops = read_crops(str(top))
    assert len(crops.train) == 7
    assert '  warning: 1 of 7 pictures have no contrast, such as grey.png: give them contrast, or take them out' in (
        crops.notes['training']
    )
    for number in range(9):
        save(Image.new('L', (24, 48 + number)), top / f'black {number}.png')
    assert refusal(read_crops, str(top), '', '', 'one', (), 10, True).endswith(
        '10 of 16 pictures have no contrast, such as black 0.png, black 1.png, black 2.png: give them contrast, or '
        'take them out'
    )


def test_what_cannot_be_read_is_left_to_the_check_of_images(tmp_path):
    top = pictures(tmp_path, '1.jpg', '2.jpg')
    (top / 'bad.jpg').write_text('no image')
    looks = look_at([str(top / name) for name in ('bad.jpg', '1.jpg', 'none.jpg', '2.jpg')])
    assert [*looks.row] == [str(top / '1.jpg'), str(top / '2.jpg')]
    assert len(read_crops(str(top)).train) == 3
    assert look_at([]).of(['1.jpg']) == []
