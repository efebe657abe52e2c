"""A file for one camera's crops: as the test that centres by cameras describes them, and what is refused."""

import json

import pytest
import torch

from paul_plugin.commands import command
from paul_plugin.commands import export as tool
from paul_plugin.deploy.as_tested import described
from paul_plugin.deploy.export import FORMATS
from paul_plugin.deploy.one_camera import for_camera
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.host.data import images_digest
from paul_plugin.method.unit import unit_length
from paul_plugin.report.gallery import Pictures
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.mark.parametrize('norms', ['False', 'True'])
def test_descriptors_are_those_of_the_centred_test(embedded_run, norms):
    trained = open_trained(embedded_run, opts=('test.centre_cameras', 'True', 'test.camera_norms', norms))
    queries = Pictures(trained).tested.queries
    rows = Pictures(trained).rows(queries)
    of_camera = [place for place, item in enumerate(queries) if item[2] == 2]
    assert of_camera
    found = described(for_camera(trained, '3'), [queries[place][0] for place in of_camera])
    torch.testing.assert_close(found, unit_length(rows[of_camera]), rtol=0, atol=1e-5)
    if norms == 'True':
        plain = open_trained(embedded_run, opts=('test.centre_cameras', 'True'))
        assert (Pictures(plain).rows(queries) - rows).abs().max() > 0.01
        assert (described(for_camera(plain, '3'), [queries[of_camera[0]][0]]) - found[:1]).abs().max() > 0.01
        return
    reduced = reduce_dimension(trained, 8)
    of_reduced = for_camera(reduced, '3')
    assert of_reduced.model.feature_dim == 8
    paths = [item[0] for item in Pictures(trained).datamanager.train_loader.dataset.data if item[2] == 2]
    plain = described(reduced, paths)
    torch.testing.assert_close(described(of_reduced, paths), unit_length(plain - plain.mean(0)), rtol=0, atol=1e-5)


def test_the_tool_writes_it(embedded_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('paul_plugin.deploy.export.SECONDS', 0)
    command.main(tool, [str(embedded_run), str(tmp_path / 'third.torchscript'), '--camera', '3'])
    assert ', of camera 3\n' in capsys.readouterr().out
    images = torch.randn(3, 3, 64, 48)
    plain, (ours, text) = open_trained(embedded_run), FORMATS['.torchscript'].read(tmp_path / 'third.torchscript')
    assert json.loads(text)['camera'] == '3'
    with torch.no_grad():
        torch.testing.assert_close(ours(images), for_camera(plain, '3').model(images), rtol=0, atol=1e-5)
        assert (ours(images) - unit_length(plain.model(images))).abs().max() > 0.01


def test_a_name_as_it_is_and_as_it_is_shown(embedded_run, bare):
    """A name can be spelt in two ways by its bytes, and one that cannot be printed is shown quoted."""
    for day, name in enumerate(('tu\u0308r', 'a\nb')):
        (bare / f'day {day}').rename(bare / name)
    options = ('data.sources', "['folder']", 'folder.path', str(bare), 'folder.camera', '^([^/]+)/')
    trained = open_trained(embedded_run, opts=options)
    trained = trained._replace(checkpoint={'images': images_digest(trained.datamanager())})
    for shown, names in (('t\u00fcr', ('tu\u0308r', 't\u00fcr')), (r"'a\nb'", ('a\nb', r"'a\nb'"))):
        assert [for_camera(trained, name).model.camera for name in names] == [shown, shown]


def test_refuses_in_one_line(embedded_run, tmp_path, bare):
    trained = open_trained(embedded_run)
    with pytest.raises(UserError, match=r'--camera 9: no training image of .* one of 1, 2, 3, 4, 5, 6$'):
        for_camera(trained, '9')
    unknown = open_trained(embedded_run, opts=('data.sources', "['folder']", 'folder.path', str(bare)))
    of_these = unknown._replace(checkpoint={'images': images_digest(unknown.datamanager())})
    with pytest.raises(UserError, match='are of one camera, or their cameras are unknown: name them by folder.camera'):
        for_camera(of_these, '1')
    with pytest.raises(UserError, match='the training images in .* are not those that .* was trained on'):
        for_camera(unknown, '1')
    (tmp_path / 'weights').mkdir()
    torch.save(trained.model.state_dict(), tmp_path / 'weights/start.pth')
    with pytest.raises(UserError, match='^--camera gate: the mean .*start.pth tells nothing: name the folder of a run'):
        for_camera(open_trained(tmp_path / 'weights/start.pth'), 'gate')
    with pytest.raises(SystemExit):
        command.main(tool, [str(embedded_run), str(tmp_path / 'a.safetensors'), '--camera', '3'])
    assert not list(tmp_path.glob('*.*'))


def test_a_camera_with_a_single_training_image_is_refused(embedded_run, bare):
    """The other one is written, though there are but two; where each camera has one, none is."""
    *others, last = sorted(bare.rglob('*.jpg'))
    last.rename(last.with_name('gate.jpg'))
    for pattern, camera, way_out in (
        ('(gate|[0-9])[^/]*$', 'gate', 'one of [0-9, ]+'),
        ('([^/]+)$', 'gate.jpg', 'leave it out, no camera has more'),
    ):
        options = ('data.sources', "['folder']", 'folder.path', str(bare), 'folder.camera', pattern)
        trained = open_trained(embedded_run, opts=options)
        trained = trained._replace(checkpoint={'images': images_digest(trained.datamanager())})
        with pytest.raises(UserError, match=f'^--camera {camera}: a single training image of .* no mean: {way_out}$'):
            for_camera(trained, camera)
    for path in others:
        path.rename(path.with_name(f'door{path.name}'))
    trained = open_trained(embedded_run, opts=(*options[:-1], '(gate|door)'))
    trained = trained._replace(checkpoint={'images': images_digest(trained.datamanager())})
    assert for_camera(trained, 'door').model.camera == 'door'


def test_training_images_that_have_changed(embedded_run, capsys):
    """Others by name are refused; of others by size or time, and of a file that tells of none, a line is said."""
    trained = open_trained(embedded_run)
    for_camera(trained, '3')
    assert 'warning' not in capsys.readouterr().out
    for_camera(trained._replace(checkpoint={**trained.checkpoint, 'files': 'others'}), '3')
    assert 'warning: the training images have changed since' in capsys.readouterr().out
    for_camera(trained._replace(checkpoint={}), '3')
    assert 'does not tell which images it was trained on: the mean is that of those in' in capsys.readouterr().out
