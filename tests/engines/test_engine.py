"""The unsupervised stage on real torchreid objects and rendered images."""

import copy

import pytest
import torch
import torchreid
from helpers.batches import batch_of
from helpers.by_loops import ipfl_by_loops, mined_by_loops, pedal_by_loops
from torch.nn import functional as F

import paul_plugin
from paul_plugin import ImagePAULEngine
from paul_plugin.data import loaders
from paul_plugin.host.data import training_images
from paul_plugin.host.engine import set_random_seed
from paul_plugin.host.evaluation import recorded_results


def weights_of(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def test_is_torchreids_engine():
    assert torchreid.engine.ImagePAULEngine is ImagePAULEngine


@pytest.mark.parametrize(('similarity', 'shape'), [('patch', (6, 48)), ('image', (1, 48))])
def test_memory_is_filled_from_all_images(make_engine, similarity, shape):
    """48 images in batches of 10: torchreid's own train loader would leave 8 out."""
    engine = make_engine(similarity=similarity)
    assert not engine.memory.filled.any()
    statistics = engine.model.branches[0].norm.running_mean.clone()
    weights = weights_of(engine.model)
    engine.fill_memory()
    assert engine.memory.filled.all()
    torch.testing.assert_close(engine.memory.bank.norm(dim=2), torch.ones(shape))
    assert not statistics.equal(engine.model.branches[0].norm.running_mean)  # a pass in training mode
    assert all(value.equal(weights[name]) for name, value in engine.model.named_parameters())


def test_fill_loader_gives_each_image_once_without_surrogate(make_datamanager):
    for batch_size in (10, 47):  # 47: one image would be left alone
        batches = list(loaders.fill_loader(make_datamanager(batch_size_train=batch_size).train_loader, seed=1))
        paths = [path for batch in batches for path in batch['impath']]
        assert len(paths) == len(set(paths)) == 48
        assert all(batch['img'].dim() == 4 and len(batch['img']) > 1 for batch in batches)


def test_a_row_is_the_place_of_an_image_among_the_sorted_ones(make_engine):
    engine = make_engine()
    paths = training_images(engine.datamanager)
    assert paths == sorted(paths)
    for batch in (batch_of(engine), next(iter(loaders.fill_loader(engine.datamanager.train_loader, seed=1)))):
        assert [paths[row] for row in batch['row']] == batch['impath']
    assert [paths.index(path) for path in batch['impath']] == batch['row'].tolist()


@pytest.mark.parametrize('similarity', ['patch', 'image'])
def test_one_step_follows_the_paper(make_engine, similarity):
    """Losses, weights and bank after one step, against loops and an optimizer of their own."""
    engine = make_engine(similarity=similarity)
    engine.model.double()
    engine.memory.double()
    engine.fill_memory = None
    batch = batch_of(engine)
    images = torch.cat(batch['img']).double()
    batch['img'] = list(images.chunk(2))
    engine.memory.bank.copy_(F.normalize(torch.randn_like(engine.memory.bank), dim=2))
    engine.memory.filled.fill_(True)
    rows = batch['row']

    model = copy.deepcopy(engine.model)
    bank = engine.memory.bank.clone()
    real, surrogate = model(images).chunk(2)
    # Whole images: one patch, the concatenation of six unit vectors and so of length sqrt(6).
    compared = real if similarity == 'patch' else (real.flatten(1) / 6**0.5).unsqueeze(1)
    assert bank.shape == ((6, 48, 16) if similarity == 'patch' else (1, 48, 96))
    for i, row in enumerate(rows):
        bank[:, row] = 0.9 * bank[:, row] + 0.1 * compared[i].detach()
    loss, anchors = engine.objective.pedal, real.flatten(1)
    pedal = pedal_by_loops(compared, bank, rows, loss.k, loss.scale)
    negatives = torch.tensor(mined_by_loops(anchors, engine.miner.r))
    margin = engine.ipfl.loss.margin
    ipfl = ipfl_by_loops(anchors, surrogate.flatten(1), anchors[negatives], negatives >= 0, margin)
    (ipfl + 2 * pedal).backward()

    engine.two_stepped_transfer_learning(0, 0, None)
    summary = engine.forward_backward(batch)
    assert summary['pedal'] == pytest.approx(pedal.item(), rel=1e-9)
    assert summary['ipfl'] == pytest.approx(ipfl.item(), rel=1e-9)
    assert summary['loss'] == pytest.approx((ipfl + 2 * pedal).item(), rel=1e-9)
    torch.testing.assert_close(engine.memory.bank, bank)
    for (name, ours), theirs in zip(engine.model.named_parameters(), model.parameters(), strict=True):
        if name.startswith('pgn') or theirs.grad is None:
            assert ours.grad is None
            continue
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-9)
        expected = theirs - 0.01 * (theirs.grad + 1e-4 * theirs)
        torch.testing.assert_close(ours.detach(), expected.detach(), rtol=1e-6, atol=1e-9)


def test_pgn_is_frozen_but_not_its_statistics(make_engine):
    engine = make_engine()
    weights = weights_of(engine.model)
    statistics = engine.model.pgn.localization[1].running_mean.clone()
    engine.epoch, engine.max_epoch = 0, 1
    for _ in range(2):  # torchreid opens all layers at the start of each epoch
        engine.train()
    for name, value in engine.model.named_parameters():
        if name.startswith(('pgn', 'classifier', 'embedding')):
            assert value.equal(weights[name]), name
            assert value.grad is None, name
        else:  # a gate of one channel can be shut for all images of the last batch
            assert not value.equal(weights[name]) or not value.grad.any(), name
    assert not statistics.equal(engine.model.pgn.localization[1].running_mean)


def test_gradients_flow_through_the_pgn(make_engine):
    engine = make_engine()
    engine.two_stepped_transfer_learning(0, 0, None)
    with torch.no_grad():  # at the start its last layer is zero and so is any gradient through it
        engine.model.pgn.regression[2].weight.normal_(std=0.1)
    maps = engine.model(torch.randn(2, 3, 96, 48), return_featuremaps=True).detach().requires_grad_()
    (grad,) = torch.autograd.grad(engine.model.pgn(maps).sum(), maps)
    assert grad.abs().max() > 0


def test_learning_rate_zero_moves_statistics_only(make_engine):
    engine = make_engine(lr=0.0)
    weights = weights_of(engine.model)
    statistics = engine.model.backbone.conv1.bn.running_mean.clone()
    engine.epoch, engine.max_epoch = 0, 1
    engine.train()
    assert all(value.equal(weights[name]) for name, value in engine.model.named_parameters())
    assert not statistics.equal(engine.model.backbone.conv1.bn.running_mean)


def test_labels_never_reach_it(make_engine, make_datamanager):
    """Other person ids and cameras, the identical model and bank."""
    results = []
    for shuffle in (False, True):
        set_random_seed(1)
        datamanager = make_datamanager()
        items = datamanager.train_loader.dataset.data
        if shuffle:
            order = torch.randperm(len(items), generator=torch.Generator().manual_seed(7)).tolist()
            items[:] = [(item[0], items[j][1], items[j][2], item[3]) for item, j in zip(items, order, strict=True)]
        engine = make_engine(datamanager)
        engine.epoch, engine.max_epoch = 0, 1
        engine.train()
        results.append([*engine.model.state_dict().values(), engine.memory.bank])
    assert all(a.equal(b) for a, b in zip(*results, strict=True))


def test_run_reports_and_saves(make_engine, tmp_path):
    engine = make_engine()
    with recorded_results() as results:
        engine.run(save_dir=str(tmp_path), max_epoch=2, print_freq=2, dist_metric='cosine', eval_freq=1)
    assert len(results) == 2
    assert all(0 < result['mAP'] <= 1 and result['rank1'] <= result['rank5'] <= result['rank10'] for result in results)
    path = tmp_path / 'model' / 'model.pth.tar-2'
    checkpoint = torch.load(path, weights_only=True)
    assert isinstance(checkpoint['rank1'], float)
    assert checkpoint['memory']['bank'].equal(engine.memory.bank)
    assert [file.name for file in path.parent.iterdir() if file.name.startswith('.')] == []

    again = make_engine()
    assert torchreid.utils.resume_from_checkpoint(str(path), again.model, again.optimizer, again.scheduler) == 2
    assert all(
        a.equal(b) for a, b in zip(again.model.state_dict().values(), engine.model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize('loss', ['softmax', 'triplet'])
def test_host_engines_train_patchnet(make_datamanager, tmp_path, loss):
    datamanager = make_datamanager(
        transforms=['random_flip'], train_sampler='RandomIdentitySampler' if loss == 'triplet' else 'RandomSampler',
        batch_size_train=8, num_instances=2,
    )  # fmt: skip
    model = torchreid.models.build_model(
        'paul_osnet_x0_25', num_classes=datamanager.num_train_pids, loss=loss, pretrained=False, dim=16
    )
    optimizer = torchreid.optim.build_optimizer(model, optim='sgd', lr=0.01)
    scheduler = torchreid.optim.build_lr_scheduler(optimizer)
    host_class = {'softmax': torchreid.engine.ImageSoftmaxEngine, 'triplet': torchreid.engine.ImageTripletEngine}[loss]
    options = {'weight_t': 1, 'weight_x': 1} if loss == 'triplet' else {}
    weights = weights_of(model)
    for engine_class in (host_class, paul_plugin.resumable(host_class)):
        engine = engine_class(datamanager, model, optimizer, scheduler=scheduler, use_gpu=False, **options)
        engine.run(save_dir=str(tmp_path), max_epoch=1, print_freq=2, ranks=[1, 5])
    moved = {name for name, value in model.named_parameters() if not value.equal(weights[name])}
    assert {name.split('.')[0] for name in moved} >= {'backbone', 'pgn', 'branches', 'classifier'}
    assert any(name.startswith('embedding') for name in moved) == (loss == 'triplet')
    assert torch.load(tmp_path / 'model' / 'model.pth.tar-1', weights_only=True)['epoch'] == 1


@pytest.mark.parametrize(
    ('options', 'words'),
    [({'k': 48}, 'k=48 needs more than k training images, got 48'),
     ({'r': 9}, 'r=9 needs a batch of at least 11 images, got 10'),
     ({'weight_pedal': -1.0}, 'weight_pedal=-1.0'), ({'weight_pedal': 0.0, 'weight_ipfl': 0.0}, 'weights'),
     ({'similarity': 'patches'}, "similarity must be 'patch' or 'image', got 'patches'")],
)  # fmt: skip
def test_refuses_arguments(make_engine, options, words):
    with pytest.raises(ValueError, match=words):
        make_engine(**options)


def test_refuses_wrong_model_and_data(make_engine, make_datamanager):
    with pytest.raises(ValueError, match="loss='paul', got loss='softmax'"):
        make_engine(model_options={'loss': 'softmax'})
    with pytest.raises(ValueError, match='surrogate_positive'):
        make_engine(make_datamanager(transforms=['random_flip']))
    datamanager = make_datamanager()
    datamanager.train_loader.dataset.data.append(datamanager.train_loader.dataset.data[0])
    with pytest.raises(ValueError, match='listed twice: .*jpg'):
        make_engine(datamanager)
    datamanager = make_datamanager()
    del datamanager.train_loader.dataset.data[9:]
    with pytest.raises(ValueError, match='a batch of 10 images is more than the 9 training images'):
        make_engine(datamanager)
    with pytest.raises(ValueError, match='RandomIdentitySampler reads who is on the images: use RandomSampler'):
        make_engine(make_datamanager(train_sampler='RandomIdentitySampler', num_instances=2))
