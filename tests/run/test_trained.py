"""Opening a trained model: a run's folder, a checkpoint, a bare file of weights; and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchreid

from paul_plugin.checkpoints import folder as checkpoint_folder
from paul_plugin.checkpoints.reading import read_checkpoint
from paul_plugin.config.arguments import cores
from paul_plugin.config.keys import get_default_config
from paul_plugin.config.settings import with_keys
from paul_plugin.data.descriptors import describe
from paul_plugin.data.images import read_image
from paul_plugin.deploy.descriptor_file import read_descriptors
from paul_plugin.deploy.extraction import extract
from paul_plugin.host.data import training_images
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


@pytest.fixture
def run_folder(make_engine, rendered, tmp_path):
    """The folder of a run of one epoch, and its engine."""
    cfg = get_default_config()
    cfg.model.name = 'paul_osnet_x0_25'
    cfg.loss.name = 'paul'
    cfg.data.update(
        root=str(rendered),
        sources=['synthetic_target'],
        targets=['synthetic_target'],
        height=48,
        width=48,
        workers=0,
        transforms=['random_flip', 'surrogate_positive'],
    )
    engine = make_engine()
    engine.config = cfg.dump()
    engine.run(save_dir=str(tmp_path / 'log'), max_epoch=1, dist_metric='cosine', print_freq=100)
    return tmp_path / 'log', engine


def test_a_run_its_checkpoint_and_bare_weights_give_the_same_model(run_folder, tmp_path):
    folder, engine = run_folder
    paths = training_images(engine.datamanager)[:5]
    trained = open_trained(folder)
    assert trained.run == folder
    assert trained.path.name == 'model.pth.tar-1'
    assert trained.cfg.model.name == 'paul_osnet_x0_25'
    wanted = torch.cat(list(describe(engine.model.eval(), paths, trained.transform())))
    bare = tmp_path / 'bare.pth'
    torch.save(engine.model.state_dict(), bare)
    for path, options in ((folder, {}), (trained.path, {}), (bare, {'height': 48, 'width': 48})):
        trained = open_trained(path, **options)
        assert (trained.cfg.paul.num_patches, trained.cfg.paul.feature_dim) == (6, 16)
        found = torch.cat(list(describe(trained.model, paths, trained.transform(), batch_size=2)))
        # Batches of another size add up in another order.
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert (open_trained(bare).cfg.data.height, open_trained(bare).cfg.data.width) == (384, 128)


def test_a_run_that_saves_meanwhile(run_folder, monkeypatch):
    """It removes the checkpoint as soon as that was read."""
    folder, _ = run_folder

    def read(path):
        checkpoint = read_checkpoint(path)
        path.unlink()
        return checkpoint

    monkeypatch.setattr(checkpoint_folder, 'read_checkpoint', read)
    assert open_trained(folder).path.name == 'model.pth.tar-1'
    with pytest.raises(UserError, match='no checkpoint in'):
        open_trained(folder)


def test_bank_and_images_belong_together(run_folder, rendered, tmp_path):
    folder, engine = run_folder
    trained = open_trained(folder)
    bank, filled = trained.memory()
    torch.testing.assert_close(bank, engine.memory.bank)
    assert filled.all()
    datamanager = trained.datamanager()
    assert training_images(datamanager) == training_images(engine.datamanager)
    trained.check_images(datamanager)
    datamanager.train_loader.dataset.data.pop()
    with pytest.raises(UserError, match='are not those that .* was trained on'):
        trained.check_images(datamanager)
    with pytest.raises(UserError, match="'synthetic_target' is not there"):
        open_trained(folder, opts=('data.root', str(tmp_path / 'nowhere'))).datamanager()
    bare = tmp_path / 'bare.pth'
    torch.save(engine.model.state_dict(), bare)
    with pytest.raises(UserError, match='holds no memory bank'):
        open_trained(bare).memory()


def test_a_kept_start_names_the_checkpoint_with_a_bank(run_folder):
    """Where the run has one that can be read; after an epoch the usual words are right."""
    folder, _ = run_folder
    kept, last = (folder / 'model' / name for name in ('kept.pth.tar', 'model.pth.tar-1'))
    checkpoint = read_checkpoint(last)
    del checkpoint['memory']
    sign = {'name': 'start', 'epoch': 0, 'agreement': 0.5, 'mutuality': 0.5, 'mixing': 0.5}
    torch.save({**checkpoint, 'signs': [sign]}, kept)
    (folder / 'model/model.pth.tar-2').write_text('damaged')

    def refusal():
        with pytest.raises(UserError) as refused:
            open_trained(folder).memory()
        return str(refused.value)

    kept_start = f'{kept} holds no memory bank: it is what the run keeps (paul.keep best), the start, as it was loaded'
    assert refusal() == f'{kept_start}, before training: name {last}'
    last.unlink()
    assert refusal() == f'{kept_start}, before training: no other checkpoint of the run has that, name another run'
    torch.save({**checkpoint, 'signs': [{**sign, 'name': 'epoch 1', 'epoch': 1}]}, kept)
    assert refusal().startswith(f'{kept} holds no memory bank: name the folder of a run of the unsupervised stage')


@pytest.mark.parametrize(
    ('name', 'source'), [('paul', 'stripe'), ('paul_osnet_x1_0', 'pgn'), ('paul_osnet_x0_25', 'random')]
)
def test_the_model_is_told_by_its_weights(name, source, tmp_path):
    model = torchreid.models.build_model(
        name, pretrained=False, loss='paul', num_patches=3, dim=8, patch_source=source, num_classes=7
    )
    path = tmp_path / 'model.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    cfg = open_trained(path).cfg
    assert (cfg.model.name, cfg.paul.num_patches, cfg.paul.feature_dim) == (name, 3, 8)
    assert (cfg.paul.patch_source == 'pgn') == (source == 'pgn')


@pytest.mark.parametrize('name', ['osnet_x0_25', 'mobilenetv2_x1_0'])
def test_a_re_id_file_of_torchreid_makes_a_patchnet(name, tmp_path):
    """With the size that torchreid's files are of, or that of the run."""
    source = torchreid.models.build_model(name, num_classes=2, pretrained=False)
    path = tmp_path / 'weights.pt'
    torch.save(source.state_dict(), path)
    trained = open_trained(path)
    cfg = trained.cfg
    assert (cfg.model.name, cfg.data.height, cfg.data.width) == (f'paul_{name}', 256, 128)
    cfg = with_keys(cfg, {'model.name': name, 'data.height': 96, 'data.width': 48})
    torch.save({'state_dict': source.state_dict(), 'config': cfg.dump()}, path)
    again = open_trained(path)
    assert (again.cfg.model.name, again.cfg.data.height, again.cfg.data.width) == (f'paul_{name}', 96, 48)
    images = torch.randn(2, 3, 96, 48, device=trained.device)
    with torch.no_grad():
        assert again.model(images).equal(trained.model(images))


def test_what_a_file_asks_for_is_limited(tmp_path):
    """By the file's own configuration; what the user of a tool asks for is taken."""
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, loss='paul', dim=8)
    cfg = get_default_config()
    for group in (cfg.train, cfg.test):
        group.batch_size = 10**9
    cfg.data.workers = cfg.paul.num_patches = 10_000
    path = tmp_path / 'model.pth'
    torch.save({'state_dict': model.state_dict(), 'config': cfg.dump()}, path)
    found = open_trained(path).cfg
    assert (found.train.batch_size, found.test.batch_size, found.paul.num_patches) == (1024, 512, 6)
    assert found.data.workers == cores()
    assert open_trained(path, opts=('test.batch_size', 600)).cfg.test.batch_size == 600
    cfg.data.height, cfg.data.width = 9_000, 1_000
    torch.save({'state_dict': model.state_dict(), 'config': cfg.dump()}, path)
    with pytest.raises(UserError, match='images of 9000 x 1000 pixels, more than 4000000: give --height and --width'):
        open_trained(path)
    assert open_trained(path, height=256).cfg.data.height == 256


def test_refusals(tmp_path):
    other, part = tmp_path / 'squeezenet.pth', tmp_path / 'backbone.pth'
    torch.save(torchreid.models.build_model('squeezenet1_1', num_classes=2, pretrained=False).state_dict(), other)
    damaged = tmp_path / 'damaged.pth'
    model = torchreid.models.build_model('paul_osnet_x0_25', pretrained=False, loss='paul', dim=8)
    torch.save({'state_dict': model.state_dict(), 'config': '{{{'}, damaged)
    torch.save({f'backbone.{key}': value for key, value in model.backbone.state_dict().items()}, part)
    for path, words in (
        (tmp_path, 'no checkpoint in'),
        (tmp_path / 'nothing.pth', 'no weight file at'),
        (other, 'holds no PatchNet, nor one of the backbones of paul, or paul_ and'),
        (part, 'holds no PatchNet: name a checkpoint of paul, or'),
        (damaged, 'its configuration cannot be read'),
    ):
        with pytest.raises(UserError, match=words) as refused:
            open_trained(path)
        assert '\n' not in str(refused.value)


def test_describes_images_of_a_program(make_trained, rendered, tmp_path):
    """Files, PIL images and arrays alike, to the numbers that the tool for files writes; twice, and in any mode."""
    trained = make_trained()
    folder = next(rendered.glob('synthetic_target/*/query'))
    extract(trained, folder, tmp_path / 'a.npz', runtime='torch')
    paths, expected = read_descriptors(tmp_path / 'a.npz')
    pictures = [read_image(path) for path in paths]
    kinds = (paths, [Path(path) for path in paths], pictures, [np.asarray(image) for image in pictures])
    trained.model.train()
    for images in kinds:
        found = trained.describe(images)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert trained.model.training
    np.testing.assert_allclose(trained.describe(pictures[3]), expected[3:4], rtol=0, atol=1e-5)
    assert trained.describe([]).shape == (0, trained.dim)
    with pytest.raises(UserError, match='bad image nowhere.jpg: there is no such file'):
        trained.describe([paths[0], 'nowhere.jpg'])
    trained = trained._replace(cfg=with_keys(trained.cfg, {'test.normalize_feature': True}))
    np.testing.assert_allclose(np.linalg.norm(trained.describe(paths[:3]), axis=1), 1, rtol=1e-6)
