"""Which settings a resumed run may change."""

import pytest

from paul_plugin.config.changes import changed_keys
from paul_plugin.config.keys import get_default_config


def test_changed_keys():
    cfg = get_default_config()
    text = cfg.dump()
    assert changed_keys(cfg, text) == []
    cfg.data.workers, cfg.train.max_epoch, cfg.data.save_dir = 7, 90, 'elsewhere'
    assert changed_keys(cfg, text) == []
    cfg.train.lr = 0.01
    cfg.train.lr_scheduler = 'cosine'  # follows max_epoch, which is then refused too
    assert changed_keys(cfg, text) == [
        'train.lr from 0.0003 to 0.01',
        'train.max_epoch from 60 to 90',
        "train.lr_scheduler from 'single_step' to 'cosine'",
    ]
    assert changed_keys(get_default_config(), '{}') == []


def test_a_text_that_is_no_configuration():
    with pytest.raises(ValueError, match='a configuration consists of keys and values'):
        changed_keys(get_default_config(), '[train.lr, 1]')
