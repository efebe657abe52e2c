"""The supervised pre-training: the release's loss and the strong baseline's tricks, on torchreid's triplet engine."""

import copy

import pytest
import torch
import torchreid
from torch.nn import functional as F

from paul_plugin import ImagePretrainEngine
from paul_plugin.engines import fastest
from paul_plugin.engines.schedule import schedule_parts
from paul_plugin.host.engine import set_random_seed


@pytest.fixture
def make_pretraining(make_datamanager):
    def make(schedule=None, **options):
        datamanager = make_datamanager(
            transforms=['random_flip'], train_sampler='RandomIdentitySampler', batch_size_train=8, num_instances=2
        )
        model = torchreid.models.build_model(
            'paul_osnet_x0_25', num_classes=datamanager.num_train_pids, loss='triplet', pretrained=False, dim=16
        )
        optimizer = torchreid.optim.build_optimizer(model, optim='sgd', lr=0.01)
        scheduler = schedule_parts(optimizer, model, schedule) if schedule else None
        return ImagePretrainEngine(datamanager, model, optimizer, scheduler=scheduler, use_gpu=False, **options)

    return make


def formula(logits, embeddings, targets, pairs):
    """Sum over branches of the cross-entropy to soft targets + 0.1 * triplet, mixed over (share, labels)."""
    loss = sum(-(targets * branch.log_softmax(1)).sum(1).mean() for branch in logits)
    rows = F.normalize(embeddings, dim=1)
    for share, labels in pairs:
        for i in range(len(rows)):
            distance = [((rows[i] - rows[j]).pow(2).sum() + 1e-5).sqrt() for j in range(len(rows))]
            positive = min(distance[j] for j in range(len(rows)) if j != i and labels[j] == labels[i])
            negative = min(distance[j] for j in range(len(rows)) if labels[j] != labels[i])
            loss = loss + 0.1 * share * (1 + positive - negative).clamp(min=0) / len(rows)
    return loss


@pytest.mark.parametrize('smooth', [False, True])
@pytest.mark.parametrize('mixup', [0.0, 0.5])
def test_one_step(make_pretraining, smooth, mixup):
    engine = make_pretraining(label_smooth=smooth, mixup=mixup)
    engine.model.double()
    batch = next(iter(engine.train_loader))
    batch['img'] = batch['img'].double()
    model = copy.deepcopy(engine.model)
    classes = engine.datamanager.num_train_pids
    images, pids = batch['img'], batch['pid']
    targets, pairs = F.one_hot(pids, classes).double(), [(1, pids.tolist())]
    torch.manual_seed(4)
    if mixup:
        share = torch.distributions.Beta(mixup, mixup).sample().item()
        images = share * images + (1 - share) * images.roll(1, 0)
        targets = share * targets + (1 - share) * targets.roll(1, 0)
        pairs = [(share, pids.tolist()), (1 - share, pids.roll(1).tolist())]
    if smooth:
        targets = 0.9 * targets + 0.1 / classes
    expected = formula(*model(images), targets, pairs)
    expected.backward()
    torch.manual_seed(4)
    summary = engine.forward_backward(batch)
    assert summary['loss'] == pytest.approx(expected.item(), rel=1e-6 if mixup else 1e-9)
    for ours, theirs in zip(engine.model.parameters(), model.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-8)


def test_pgn_is_frozen_while_its_rate_is_zero(make_pretraining, tmp_path):
    schedule = {'heads': [(0, 0.1)], 'backbone': [(0, 0.01)], 'pgn': [(0, 0.0), (1, 1e-3), (2, 0.0)]}
    engine = make_pretraining(schedule)
    states = []
    for epoch in range(3):
        before = copy.deepcopy(engine.model.pgn.state_dict())
        engine.epoch, engine.max_epoch = epoch, 3
        engine.train()
        after = engine.model.pgn.state_dict()
        states.append({key: not before[key].equal(after[key]) for key in before})
    for epoch, moved in enumerate(states):
        assert moved['localization.0.weight'] == (epoch == 1)
        assert moved['localization.1.running_mean']
    assert not engine.model.pgn.regression[2].weight.requires_grad


def test_is_registered_and_saves(make_pretraining, tmp_path):
    assert torchreid.engine.ImagePretrainEngine is ImagePretrainEngine
    make_pretraining().run(save_dir=str(tmp_path), max_epoch=1, ranks=[1, 5])
    assert torch.load(tmp_path / 'model/model.pth.tar-1', weights_only=True)['epoch'] == 1


def test_the_fastest_precision(make_pretraining, monkeypatch):
    """Chosen before the first step, which is that of an engine that was given it."""
    monkeypatch.setattr(fastest, 'seconds', lambda net, images, amp: {'off': 0.2, 'bf16': 0.1}[amp])
    summaries = []
    for amp in ('auto', 'bf16', 'off'):
        set_random_seed(3)
        engine = make_pretraining(amp=amp)
        batch = next(iter(engine.train_loader))
        engine.two_stepped_transfer_learning(0, 0, None)
        summaries.append(engine.forward_backward(batch))
    assert summaries[0] == summaries[1] != summaries[2]
