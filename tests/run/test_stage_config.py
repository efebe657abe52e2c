"""The config of the pre-training stage: which keys it takes over from the run."""

import pytest

from paul_plugin.config.keys import KEYS, Mark, get_default_config, marked, set_value, value_of
from paul_plugin.run.start import stage_config

CHANGED = {
    'model.name': 'paul_osnet_x0_25', 'model.pretrained': False, 'data.root': 'elsewhere', 'data.workers': 0,
    'data.height': 96, 'data.width': 48, 'data.bad_images': 'skip', 'folder.path': 'crops', 'folder.labels': 'a.csv',
    'folder.camera': '(gate)', 'folder.near_copies': 'keep', 'data.stretch': True,
    'train.seed': 7, 'train.checkpoint_minutes': 1.0, 'train.keep_checkpoints': 3, 'test.fast_rank': False,
    'paul.num_patches': 3, 'paul.feature_dim': 16, 'paul.patch_source': 'stripe', 'paul.synthetic.train_ids': 8,
    'paul.synthetic.test_ids': 6, 'paul.synthetic.images_per_id': 5, 'paul.synthetic.seed': 9,
}  # fmt: skip


@pytest.fixture
def cfg(tmp_path):
    """Of a run whose keys all differ from the defaults, where the stage takes them over."""
    file = tmp_path / 'pretrain.yaml'
    file.write_text('data: {sources: [synthetic_source], targets: [synthetic_target]}\ntrain: {max_epoch: 2}')
    cfg = get_default_config()
    for key, value in CHANGED.items():
        set_value(cfg, key, value)
    cfg.loss.name, cfg.train.lr, cfg.paul.k = 'paul', 0.5, 4
    cfg.paul.pretrain.config = str(file)
    cfg.data.save_dir = 'run'
    return cfg


def test_it_takes_over_what_the_table_marks(cfg):
    stage = stage_config(cfg)
    assert CHANGED.keys() | {'use_gpu'} == marked(Mark.STAGE)
    assert {key: value_of(stage, key) for key in CHANGED} == CHANGED
    own = {'data.sources', 'data.targets', 'train.max_epoch', 'data.save_dir'}
    assert value_of(stage, 'data.save_dir') == 'run/pretrain'
    for key in KEYS:
        if key.name not in own | CHANGED.keys():
            assert value_of(stage, key.name) == key.default, key.name


def test_its_own_options_come_last_and_stay_its_own(cfg):
    """`paul.pretrain.opts` win over what is taken over, and change nothing of the run."""
    cfg.paul.pretrain.opts = ['paul.synthetic.train_ids', 20, 'data.height', 64]
    before = cfg.clone()
    stage = stage_config(cfg)
    assert (stage.paul.synthetic.train_ids, stage.data.height, stage.data.width) == (20, 64, 48)
    assert cfg == before
