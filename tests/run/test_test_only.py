"""A test alone: what it measures and where it writes it, beside what the training of the same folder has written."""

import json
import shutil

import pytest
import torch
from helpers.jobs import run_embedded_job

from paul_plugin.run import record


def results_of(folder, name='results.json'):
    return json.loads((folder / name).read_text())


@pytest.fixture(scope='module')
def trained(embedded_once, tmp_path_factory):
    return shutil.copytree(embedded_once, tmp_path_factory.mktemp('trained') / 'run')


def test_it_leaves_the_record_of_training(trained, rendered, capsys):
    """The recipe of own-cameras.md: the finished model is tested in the folder of its own run."""
    before = (trained / 'results.json').read_bytes()
    weights = trained / 'model/model.pth.tar-1'
    run_embedded_job(rendered, trained, 'model.load_weights', str(weights), 'test.evaluate', 'True')
    assert (trained / 'results.json').read_bytes() == before
    found = results_of(trained, 'results_test.json')
    assert found == {'adapted': results_of(trained)['adapted'], 'weights': str(weights)}
    # What goes on afterwards keeps both figures of the training.
    run_embedded_job(rendered, trained, 'model.resume', 'auto')
    assert (trained / 'results.json').read_bytes() == before


def test_a_checkpoint_to_go_on_from_is_tested_alike(trained, rendered):
    weights = trained / 'model/model.pth.tar-1'
    run_embedded_job(rendered, trained, 'model.resume', str(weights), 'test.evaluate', 'True')
    found = results_of(trained, 'results_test.json')
    assert found == {'adapted': results_of(trained)['adapted'], 'weights': str(weights)}


def test_adapting_adapted_weights_again_is_no_direct_transfer(trained, rendered, tmp_path):
    weights = trained / 'model/model.pth.tar-1'
    run_embedded_job(rendered, tmp_path, 'model.load_weights', str(weights), 'train.max_epoch', '1')
    assert results_of(tmp_path).keys() == {'start', 'adapted'}
    assert results_of(tmp_path)['start'] == results_of(trained)['adapted']


def test_a_backbone_alone_is_said_to_be_one(trained, rendered, tmp_path, capfd):
    state = torch.load(trained / 'model/model.pth.tar-1', weights_only=True)['state_dict']
    backbone = {key.removeprefix('backbone.'): value for key, value in state.items() if key.startswith('backbone.')}
    torch.save(backbone, tmp_path / 'backbone.pth')
    run_embedded_job(
        rendered, tmp_path / 'log', 'model.load_weights', str(tmp_path / 'backbone.pth'), 'test.evaluate', 'True'
    )
    log = next((tmp_path / 'log').glob('test.log*')).read_text()
    assert log.count("is a model of torchreid's: its patches are bands") == 1


def test_the_plain_figures_come_before_the_re_ranked_ones(trained, rendered, monkeypatch, capsys):
    """And stay where the memory is too small to re-rank."""
    weights = str(trained / 'model/model.pth.tar-1')
    words = ('model.load_weights', weights, 'test.evaluate', 'True', 'test.rerank', 'True')
    run_embedded_job(rendered, trained, *words)
    plain, reranked = (results_of(trained, f'results_{name}.json') for name in ('test', 'reranked'))
    assert plain['adapted'] == results_of(trained)['adapted']
    assert reranked['adapted'] != plain['adapted']
    assert reranked['weights'] == weights

    def exhaust(*args, **kwargs):
        raise MemoryError

    (trained / 'results_test.json').unlink()
    measure = record.measure
    spoiled = lambda *args, rerank=False: exhaust() if rerank else measure(*args)  # noqa: E731
    monkeypatch.setattr('paul_plugin.run.stages.measure', spoiled)
    with pytest.raises(SystemExit) as stop:
        run_embedded_job(rendered, trained, *words)
    assert stop.value.code == 2
    assert 'test.rerank takes about 0.0 GB for the 36 images' in capsys.readouterr().err
    assert results_of(trained, 'results_test.json') == plain


def test_it_needs_no_training_images(trained, rendered, tmp_path, capsys):
    """A folder of query and gallery alone, and far fewer images than a batch and k neighbours want."""
    layout = rendered / 'synthetic_target/Market-1501-v15.09.15'
    for part, source in (('query', 'query'), ('gallery', 'bounding_box_test')):
        shutil.copytree(layout / source, tmp_path / 'crops' / part)
    words = ('-s', 'folder', '-t', 'folder', 'folder.path', str(tmp_path / 'crops'), 'paul.k', '30')
    weights = str(trained / 'model/model.pth.tar-1')
    run_embedded_job(rendered, tmp_path / 'log', *words, 'model.load_weights', weights, 'test.evaluate', 'True')
    found = results_of(tmp_path / 'log', 'results_test.json')['adapted']
    assert found == pytest.approx(results_of(trained)['adapted'])  # in another order of the images
    # The means of cameras are taken from training images alone.
    words = (*words, 'test.centre_cameras', 'True', 'model.load_weights', weights, 'test.evaluate', 'True')
    with pytest.raises(SystemExit) as stop:
        run_embedded_job(rendered, tmp_path / 'log', *words)
    assert stop.value.code == 2
    assert 'no image to train on' in capsys.readouterr().err


def test_a_data_set_of_torchreid_needs_none_either(trained, rendered, tmp_path, capsys):
    inner = tmp_path / 'data/market1501/Market-1501-v15.09.15'
    shutil.copytree(rendered / 'synthetic_target/Market-1501-v15.09.15', inner)
    shutil.rmtree(inner / 'bounding_box_train')
    words = ('-s', 'market1501', '-t', 'market1501', '--root', str(tmp_path / 'data'))
    test = ('model.load_weights', str(trained / 'model/model.pth.tar-1'), 'test.evaluate', 'True')
    run_embedded_job(rendered, tmp_path / 'log', *words, *test)
    log = next((tmp_path / 'log').glob('test.log*')).read_text()
    assert log.count('Market1501 has no training images, which a test needs none of: queries stand in\n') == 1
    found = results_of(tmp_path / 'log', 'results_test.json')['adapted']
    assert found == pytest.approx(results_of(trained)['adapted'])
    # A training and the means of cameras need them.
    for more in ((), (*test, 'test.centre_cameras', 'True')):
        with pytest.raises(SystemExit) as stop:
            run_embedded_job(rendered, tmp_path / 'other', *words, *more)
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith('error: torchreid cannot read the data of market1501')
        assert 'bounding_box_train" is not found' in err
        assert len([line for line in err.splitlines() if line.startswith('error: ')]) == 1


@pytest.mark.parametrize('people', [0, 7])
def test_classifiers_of_other_people_are_one_sentence(trained, rendered, tmp_path, people):
    checkpoint = torch.load(trained / 'model/model.pth.tar-1', weights_only=True)
    state = checkpoint['state_dict']
    for name in [name for name in state if name.startswith('classifier.')]:
        weights = state.pop(name)
        if people:
            state[name] = weights[:1].repeat(people, *[1] * (weights.dim() - 1))
    torch.save({'state_dict': state, 'config': checkpoint['config']}, tmp_path / 'weights.pth')
    test = ('model.load_weights', str(tmp_path / 'weights.pth'), 'test.evaluate', 'True')
    log = next(run_embedded_job(rendered, tmp_path / 'log', *test).glob('test.log*')).read_text()
    assert log.count('the 12 tensors of its classifiers are left out') == bool(people)
    assert 'classifier.' not in log
    assert 'not in the file' not in log


def test_centring_goes_through_every_test(trained, rendered, tmp_path):
    """Direct transfer and the test after training; and the training stays as it was."""
    centred = run_embedded_job(rendered, tmp_path / 'log', 'test.centre_cameras', 'True')
    states = [torch.load(run / 'model/model.pth.tar-1', weights_only=True)['state_dict'] for run in (trained, centred)]
    assert all(value.equal(states[1][name]) for name, value in states[0].items())
    found, plain = results_of(centred), results_of(trained)
    assert found.keys() == plain.keys() == {'direct_transfer', 'adapted'}
    assert all(found[name] != plain[name] for name in found)
