"""Learning rates by part and epoch, and the warm-up."""

import pytest
import torchreid

from paul_plugin.commands import run_words
from paul_plugin.engines.schedule import part_of
from paul_plugin.run import build


@pytest.fixture
def groups_over_epochs(make_datamanager):
    """Builds the engine of a config's pre-training and lists every group's rate in each of 60 epochs."""

    def walk(name, *opts):
        cfg = run_words.load_config(['--config-file', f'configs/{name}', *opts])
        datamanager = make_datamanager(transforms=['random_flip'])
        model = torchreid.models.build_model(
            'paul_osnet_x0_25', num_classes=8, loss='triplet', pretrained=False, dim=16
        )
        engine = build.build_engine(cfg, datamanager, model)
        rates = []
        for _ in range(60):
            rates.append({group.get('part', 'all'): group['lr'] for group in engine.optimizer.param_groups})
            engine.optimizer.step()
            engine.update_lr()
        return engine, rates

    return walk


def test_as_released(groups_over_epochs):
    """Every group over the 60 epochs; `pytest -s` prints the table."""
    engine, rates = groups_over_epochs('pretrain_msmt17.yaml')
    print('epochs  heads   backbone  pgn')
    for first, last in ((0, 25), (25, 40), (40, 60)):
        assert all(rates[epoch] == rates[first] for epoch in range(first, last))
        heads, backbone, pgn = (rates[first][part] for part in ('heads', 'backbone', 'pgn'))
        print(f'{first:2}-{last - 1:2}   {heads:<7g} {backbone:<9g} {pgn:g}')
    assert rates[0] == pytest.approx({'heads': 0.1, 'backbone': 0.01, 'pgn': 0})
    assert rates[25] == pytest.approx({'heads': 0.1, 'backbone': 0.01, 'pgn': 1e-5})
    assert rates[40] == pytest.approx({'heads': 0.01, 'backbone': 0.001, 'pgn': 0})
    for group in engine.optimizer.param_groups:
        assert (group['momentum'], group['weight_decay']) == (0.9, 1e-4)
    held = {id(p) for group in engine.optimizer.param_groups for p in group['params']}
    assert held == {id(p) for p in engine.model.parameters()}
    for name, parameter in engine.model.named_parameters():
        (group,) = [g for g in engine.optimizer.param_groups if any(p is parameter for p in g['params'])]
        assert group['part'] == part_of(name)


def test_warm_up(groups_over_epochs):
    _, plain = groups_over_epochs('pretrain_msmt17.yaml')
    _, warmed = groups_over_epochs('pretrain_strong.yaml')
    for epoch in range(60):
        factor = 0.1 + 0.09 * epoch if epoch < 10 else 1
        assert warmed[epoch] == pytest.approx({part: rate * factor for part, rate in plain[epoch].items()})


def test_warm_up_of_torchreids_own_schedule(groups_over_epochs):
    opts = ['paul.supervised.warmup_epochs', '10', 'loss.name', 'softmax', 'train.lr', '0.1', 'train.optim', 'sgd']
    _, rates = groups_over_epochs('pretrain_synthetic.yaml', *opts, *(
        word for part in ('heads', 'backbone', 'pgn') for word in (f'paul.supervised.schedule.{part}', '[]')
    ), 'train.lr_scheduler', 'single_step', 'train.stepsize', '[20]')  # fmt: skip
    for epoch in range(60):
        assert rates[epoch]['all'] == pytest.approx(0.1 * min(1, 0.1 + 0.09 * epoch) * 0.1 ** (epoch // 20))
