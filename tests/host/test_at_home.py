"""torchreid's own tools on our models, unchanged; test_engine, test_resumable and test_weights have its readers."""

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchreid
from helpers.batches import batch_of
from PIL import Image

import paul_plugin
from paul_plugin.commands import train
from paul_plugin.host.engine import unwrap

TARGET = 'synthetic_target'


def build(name='paul_osnet_x0_25', **options):
    return torchreid.models.build_model(name, pretrained=False, **{'loss': 'paul', **options})


def paths_of(engine, part):
    return [item[0] for item in engine.test_loader[TARGET][part].dataset.data]


# ---- descriptors, ranking, pictures ----------------------------------------------------------------------------------


def test_feature_extractor(make_engine, tmp_path):
    """On an engine's checkpoint, on files and arrays, one and several."""
    engine = make_engine(model_options={'dim': 256})
    engine.fill_memory()  # moves the BatchNorm statistics
    engine.model.eval()
    path = tmp_path / 'model/model.pth.tar-1'
    engine.save_model(0, 0.5, str(tmp_path))
    extractor = torchreid.utils.FeatureExtractor(
        'paul_osnet_x0_25', model_path=str(path), image_size=(48, 48), device='cpu'
    )
    batch = next(iter(engine.test_loader[TARGET]['query']))
    with torch.inference_mode():
        expected = engine.model(batch['img'])
    assert expected.shape == (18, engine.model.feature_dim)
    files = batch['impath']
    arrays = [np.asarray(Image.open(file)) for file in files]
    for several in (files, arrays, batch['img']):
        torch.testing.assert_close(extractor(several), expected)
    for one in (files[2], arrays[2], batch['img'][2]):
        torch.testing.assert_close(extractor(one), expected[2:3])


def test_visrank(make_engine, tmp_path):
    """One picture a query: the query, and its nearest images with a green border where the person is the same."""
    engine = make_engine()
    engine.run(save_dir=str(tmp_path), test_only=True, dist_metric='cosine', visrank=True, visrank_topk=3)
    pictures = tmp_path / f'visrank_{TARGET}'
    assert sorted(file.stem for file in pictures.iterdir()) == sorted(Path(p).stem for p in paths_of(engine, 'query'))
    assert list(tmp_path.iterdir()) == [pictures]
    firsts = []
    for file in pictures.iterdir():
        picture = cv2.imread(str(file)).astype(int)
        assert picture.shape == (48, 4 * 48 + 3 * 10 + 90, 3)
        blue, green, red = picture[2, 48 + 90 + 10 + 24]  # in the upper border of the first of the ranking
        assert max(green, red) - min(green, red) > 150
        firsts.append(green > red)
    assert np.mean(firsts) == pytest.approx(engine.results[TARGET]['rank1'])


def test_reranking(make_engine):
    engine = make_engine()
    engine.test(dist_metric='cosine')
    plain = engine.results[TARGET]
    engine.test(dist_metric='cosine', rerank=True)
    assert engine.results[TARGET] != plain

    features, pids, camids = {}, {}, {}
    for part, loader in engine.test_loader[TARGET].items():
        with torch.no_grad():
            features[part] = torch.cat([engine.model(batch['img']) for batch in loader])
        _, pids[part], camids[part], _ = map(np.array, zip(*loader.dataset.data))
    distances = [
        torchreid.metrics.compute_distance_matrix(features[a], features[b], 'cosine').numpy()
        for a, b in (('query', 'gallery'), ('query', 'query'), ('gallery', 'gallery'))
    ]
    whose = [of[part] for of in (pids, camids) for part in ('query', 'gallery')]
    for matrix, result in ((distances[0], plain), (torchreid.utils.re_ranking(*distances), engine.results[TARGET])):
        cmc, mean_ap = torchreid.metrics.evaluate_rank(matrix, *whose)
        assert result == {'mAP': mean_ap, **{f'rank{rank}': cmc[rank - 1] for rank in (1, 5, 10)}}


@pytest.fixture
def evaluate(monkeypatch, rendered, tmp_path):
    """Tests a random model by a config, as `tools/main.py` does; returns the files of results that it wrote."""

    def evaluate(*words):
        train.main([
            '--config-file', 'configs/paul_synthetic.yaml', '--root', str(rendered), 'data.save_dir', str(tmp_path),
            'data.workers', '0', 'paul.pretrain.config', '', 'paul.k', '3', 'train.batch_size', '8', 'train.seed', '5',
            'paul.synthetic.train_ids', '8', 'paul.synthetic.test_ids', '6', 'paul.synthetic.images_per_id', '6',
            'test.evaluate', 'True', *words,
        ])  # fmt: skip
        found = {file.name: json.loads(file.read_text()) for file in tmp_path.glob('*.json')}
        for name in found:
            (tmp_path / name).unlink()
        return found

    return evaluate


def test_the_tests_of_a_config(evaluate, tmp_path, monkeypatch):
    plain = evaluate('test.fast_rank', 'False')
    assert not (tmp_path / f'visrank_{TARGET}').exists()
    monkeypatch.setattr(torchreid.metrics, 'evaluate_rank', None)  # not called by the fast one
    assert evaluate('test.visrank', 'True', 'test.visrank_topk', '2') == plain
    pictures = list((tmp_path / f'visrank_{TARGET}').iterdir())
    assert [cv2.imread(str(file)).shape for file in pictures] == [(96, 3 * 48 + 2 * 10 + 90, 3)] * 18
    reranked = evaluate('test.rerank', 'True')
    assert {'results_test.json': reranked['results_test.json']} == plain
    assert reranked['results_reranked.json'] != reranked['results_test.json']


# ---- sizes -----------------------------------------------------------------------------------------------------------


def numel(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_model_complexity():
    """It counts the layers that a test uses; of PGN and branches, every product is known."""
    model, images = build('paul_resnet18', num_classes=11), (1, 3, 96, 48)
    model.pgn.requires_grad_(False)  # as the unsupervised stage leaves it
    parameters, flops = torchreid.utils.compute_model_complexity(model, images)
    assert model.training
    used = (model.backbone, model.pgn, model.branches)
    assert parameters == numel(*used) == numel(model) - numel(model.classifier, model.embedding)
    fixed, without_pgn = torchreid.utils.compute_model_complexity(build('paul_resnet18', patch_source='stripe'), images)
    assert fixed == numel(model.backbone, model.branches)
    assert flops - without_pgn == (9 * 512 + 1) * 1024 * 4 * 1 + (1024 + 1) * 512 + (512 + 1) * 36
    counted = [torchreid.utils.compute_model_complexity(build('paul_resnet18', num_patches=m), images) for m in (1, 2)]
    branch, box = (512 + 1) * 256, (512 + 1) * 6  # and BatchNorm's 512 parameters, whose products are not counted
    assert [b - a for a, b in zip(*counted)] == [branch + 512 + box, branch + box]
    with pytest.warns(UserWarning, match='deprecated'):
        assert torchreid.utils.count_num_param(model) == numel(*used, model.embedding)


# ---- training --------------------------------------------------------------------------------------------------------


def moved(before, after):
    """The parts of the model in which a weight differs."""
    return {name.split('.')[0] for name, value in before.items() if not value.equal(after[name])}


def test_open_layers(make_engine, tmp_path):
    """In the first epoch the branches alone are trained, in the second the backbone too; the PGN never."""
    engine = make_engine()
    weights = {name: value.detach().clone() for name, value in engine.model.named_parameters()}
    engine.run(save_dir=str(tmp_path), max_epoch=2, fixbase_epoch=1, open_layers=['branches', 'pgn'], eval_freq=1)
    states = [torchreid.utils.load_checkpoint(str(tmp_path / f'model/model.pth.tar-{e}'))['state_dict'] for e in (1, 2)]
    assert moved(weights, states[0]) == {'branches'}
    assert moved(weights, states[1]) == {'branches', 'backbone'}


@pytest.mark.parametrize('parallel', [False, True])
def test_staged_lr(make_datamanager, parallel):
    """One step of plain SGD, with torchreid's DataParallel and without: weights move by their group's rate."""
    model = build(dim=16)
    model = torch.nn.DataParallel(model) if parallel else model
    optimizer = torchreid.optim.build_optimizer(
        model, optim='sgd', lr=0.1, weight_decay=0, momentum=0, staged_lr=True, new_layers=['branches'],
        base_lr_mult=0.25,
    )  # fmt: skip
    assert [group['lr'] for group in optimizer.param_groups] == [0.025, 0.1]
    net = unwrap(model)
    assert sum(p.numel() for p in optimizer.param_groups[1]['params']) == numel(net.branches)
    engine = paul_plugin.ImagePAULEngine(make_datamanager(), model, optimizer, use_gpu=False, k=5, scale=10.0)
    before = copy.deepcopy(net.state_dict())
    engine.fill_memory()
    engine.two_stepped_transfer_learning(0, 0, None)
    engine.forward_backward(batch_of(engine))
    assert moved(dict(net.named_parameters()), before) == {'backbone', 'branches'}
    for name, value in net.named_parameters():
        if value.grad is not None:
            rate = 0.1 if name.startswith('branches') else 0.025
            torch.testing.assert_close(value.detach(), before[name] - rate * value.grad, rtol=1e-6, atol=1e-8)
