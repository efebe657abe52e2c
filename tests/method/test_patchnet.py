"""PatchNet against the reference numbers, and at home among torchreid's models."""

import pytest
import torch
import torchreid
from helpers.reference_numbers import load, release_state
from torch.nn import functional as F

import paul_plugin
from paul_plugin.checkpoints.weights_file import from_release
from paul_plugin.method.patch_generation import bands, stripes
from paul_plugin.method.pooling import pool_patches

TOLERANCE = {'rtol': 0, 'atol': 1e-4}


def build(name='paul_osnet_x0_25', **options):
    return torchreid.models.build_model(name, **{'num_classes': 11, 'pretrained': False, **options})


@pytest.fixture(scope='module')
def state():
    return from_release({key.removeprefix('module.'): value for key, value in release_state().items()})


@pytest.mark.parametrize('mode', ['eval', 'train'])
@pytest.mark.parametrize('stage', ['pretraining', 'unsupervised'])
def test_reference(state, stage, mode):
    reference = {key: value.double() for key, value in load(f'patchnet_{stage}.npz').items()}
    model = build('paul', loss='triplet' if stage == 'pretraining' else 'paul')
    model.load_state_dict(state)
    model.double().train(mode == 'train')  # float32 alone parts by 1e-4 in batch statistics of 3 images
    with torch.no_grad():
        maps = model(reference['images'], return_featuremaps=True)
        model.load_state_dict(state)  # the statistics have moved in train mode
        torch.testing.assert_close(model.pgn(maps), reference[f'{mode}_theta'], **TOLERANCE)
        features = model.patch_features(maps)
        model.load_state_dict(state)
        output = model(reference['images'])
    expected = reference[f'{mode}_features']
    embeddings = reference[f'{mode}_embeddings'].flatten(1)
    if stage == 'unsupervised':
        features = F.normalize(features, dim=2)
        torch.testing.assert_close(features, expected, **TOLERANCE)
        torch.testing.assert_close(model.embed(features), embeddings, **TOLERANCE)
        torch.testing.assert_close(output, expected if mode == 'train' else expected.flatten(1), **TOLERANCE)
        return
    features = features.relu()
    torch.testing.assert_close(features, expected, **TOLERANCE)
    for m, head in enumerate(model.classifier):
        torch.testing.assert_close(head(features[:, m]), reference[f'{mode}_logits'][:, m], **TOLERANCE)
    embedded = torch.cat([head(features[:, m]) for m, head in enumerate(model.embedding)], 1)
    torch.testing.assert_close(embedded, embeddings, **TOLERANCE)
    if mode == 'train':
        logits, concatenated = output
        torch.testing.assert_close(torch.stack(logits, 1), reference['train_logits'], **TOLERANCE)
        torch.testing.assert_close(concatenated, embeddings, **TOLERANCE)


def test_starts_at_stripes():
    model = build()
    theta = model.pgn(model(torch.randn(2, 3, 96, 48), return_featuremaps=True))
    torch.testing.assert_close(theta, stripes(6).expand(2, -1, -1, -1))


@pytest.mark.parametrize('name', ['paul_resnet18', 'paul_osnet_x0_25', 'paul_mobilenetv2_x1_0'])
def test_outputs(name):
    images = torch.randn(3, 3, 96, 48)
    model = build(name, loss='paul')
    features = model(images)
    assert features.shape == (3, 6, 256)
    torch.testing.assert_close(features.norm(dim=2), torch.ones(3, 6))
    model.loss = 'softmax'
    assert [logits.shape for logits in model(images)] == [(3, 11)] * 6
    model.loss = 'triplet'
    logits, embeddings = model(images)
    assert len(logits) == 6
    assert embeddings.shape == (3, 6 * 128)
    model.eval()
    assert model(images, return_featuremaps=True).shape[2:] == (6, 3)
    for loss in ('softmax', 'triplet', 'paul'):
        model.loss = loss
        descriptor = model(images)
        assert descriptor.shape == (3, model.feature_dim) == (3, 1536)
        torch.testing.assert_close(descriptor.view(3, 6, 256).norm(dim=2), torch.ones(3, 6))


@pytest.mark.parametrize('dim', [16, 128, 200])
def test_branches_that_keep_distances(dim):
    """All of them where D is at least C, else projections; the same ones after any seed."""
    model = build(loss='paul', dim=dim).eval()
    with torch.no_grad():
        for part in (model.pgn, model.branches):
            for value in (*part.parameters(), *part.buffers()):
                value.add_(1)  # as if they had been trained
    state = torch.get_rng_state()
    model.keep_distances()
    assert torch.get_rng_state().equal(state)
    maps = model(torch.randn(5, 3, 96, 48), return_featuremaps=True)
    theta = bands(6).expand(5, -1, -1, -1)
    assert model.pgn(maps).equal(theta)
    pooled, features = pool_patches(maps, theta), model.patch_features(maps)
    weights = torch.stack([branch.reduction.weight for branch in model.branches])
    gram = weights @ weights.mT if dim <= 128 else weights.mT @ weights
    torch.testing.assert_close(gram, torch.eye(min(dim, 128)).expand(6, -1, -1), rtol=0, atol=1e-5)
    assert not weights[0].equal(weights[1])
    if dim >= 128:
        wanted, found = (torch.cdist(one.transpose(0, 1), one.transpose(0, 1)) for one in (pooled, features))
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    other = build(loss='paul', dim=dim)
    other.keep_distances()
    assert all(a.equal(b) for a, b in zip(other.branches.parameters(), model.branches.parameters(), strict=True))
    assert all(a.equal(b) for a, b in zip(other.branches.buffers(), model.branches.buffers(), strict=True))


@pytest.mark.parametrize(('number', 'share'), [(1, 1), (2, 1 / 2), (3, 1 / 3), (6, 1 / 3), (8, 1 / 3)])
def test_bands_cover_the_image_evenly(number, share):
    theta = bands(number)
    edges = torch.stack([theta[:, 1, 2] - theta[:, 1, 1], theta[:, 1, 2] + theta[:, 1, 1]], 1)
    torch.testing.assert_close(edges[0, 0], torch.tensor(-1.0))
    torch.testing.assert_close(edges[-1, 1], torch.tensor(1.0))
    torch.testing.assert_close(edges.diff(dim=1).flatten(), torch.full((number,), 2.0 * share))
    assert number < 2 or (edges[1:, 0] <= edges[:-1, 1] + 1e-6).all()
    assert (theta[:, 0] == torch.tensor([1.0, 0, 0])).all()


@pytest.mark.parametrize('source', ['stripe', 'band', 'random'])
def test_fixed_patches_stay(source):
    model = build(patch_source=source)
    theta = model.pgn.theta.clone()
    model.keep_distances()
    assert model.pgn.theta.equal(theta)


@pytest.mark.parametrize('num_patches', [1, 8])
@pytest.mark.parametrize('patch_source', ['pgn', 'stripe', 'band', 'random'])
def test_patch_sources_and_numbers(patch_source, num_patches):
    model = build(loss='paul', patch_source=patch_source, num_patches=num_patches, dim=16)
    images = torch.randn(2, 3, 64, 48)
    assert model(images).shape == (2, num_patches, 16)
    boxes = model.pgn(model(images, return_featuremaps=True))
    assert boxes.shape == (2, num_patches, 2, 3)
    reach = boxes[..., :2].abs().sum(3) + boxes[..., 2].abs()
    assert (reach <= 1 + 1e-6).all()  # every box lies within the image
    again = build(loss='paul', patch_source=patch_source, num_patches=num_patches, dim=16)
    again.load_state_dict(model.state_dict())
    assert again.eval()(images).equal(model.eval()(images))


def test_registered_with_torchreid(capsys):
    torchreid.models.show_avai_models()
    listed = capsys.readouterr().out
    assert all(f"'{name}'" in listed for name in ('paul', 'paul_resnet18', 'paul_osnet_x0_25'))


def test_classes_are_optional_for_our_models_only():
    assert build('paul_resnet18', num_classes=1).loss == 'softmax'
    assert torchreid.models.build_model('paul_osnet_x0_25', pretrained=False).classifier[0].out_features == 1
    with pytest.raises(TypeError, match='num_classes'):
        torchreid.models.build_model('resnet18')
    with pytest.raises(KeyError, match='Unknown model: paull'):
        torchreid.models.build_model('paull', 10)
    assert torchreid.models.build_model('resnet18', 10, pretrained=False).classifier.out_features == 10


def test_warns_in_one_line_where_imagenet_weights_cannot_be_fetched(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError('no network\nsecond line')

    monkeypatch.setattr('torch.hub.load_state_dict_from_url', refuse)
    monkeypatch.setattr(torchreid.models.resnet.model_zoo, 'load_url', refuse)
    with pytest.warns(
        paul_plugin.host.models.PretrainedWeightsWarning, match=r'no ImageNet weights for resnet18 \(no network\)'
    ):
        model = torchreid.models.build_model('paul_resnet18')
    assert isinstance(model, paul_plugin.PatchNet)
