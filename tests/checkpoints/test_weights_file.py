"""A file of weights is read when it is asked for, once, and can be let go."""

from types import SimpleNamespace

import pytest
import torch

from paul_plugin.checkpoints import resume, weights_file
from paul_plugin.checkpoints.weights_file import WeightsFile
from paul_plugin.runtime.errors import UserError


def test_read_once(tmp_path, monkeypatch):
    path = tmp_path / 'weights.pth'
    file = WeightsFile(path)  # may be made later, by the pre-training
    with pytest.raises(UserError, match='no weight file at'):
        file.kind  # noqa: B018
    torch.save({'state_dict': {'module.backbone.a': torch.ones(2)}, 'config': 'model: {}', 'adapted': True}, path)
    read = []
    of_file = weights_file.read_checkpoint
    monkeypatch.setattr(weights_file, 'read_checkpoint', lambda path: read.append(path) or of_file(path))
    assert (file.kind, list(file.state), file.config, file.adapted) == ('paul', ['backbone.a'], 'model: {}', True)
    assert (file.backbone, file.branches, file.tells_size) == ({'a': (2,)}, None, True)
    assert read == [path]
    file.forget()
    assert vars(file) == {'path': path}
    assert WeightsFile(path, {'config': 3}).config == ''
    assert read == [path]


def test_what_a_run_goes_on_from_is_let_go(tmp_path):
    """Or its memory bank would stay beside the engine's for the whole run."""
    point = WeightsFile(tmp_path / 'model.pth.tar-1', {'epoch': 1})
    assert resume.go_on(SimpleNamespace(resume=lambda checkpoint: checkpoint['epoch'], done=(1, 0)), point) == 1
    assert vars(point) == {'path': tmp_path / 'model.pth.tar-1'}
