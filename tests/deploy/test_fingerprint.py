"""Descriptors of another model, or of another size, are refused; those of fewer numbers name the way to them."""

import pytest
import torch

from paul_plugin.deploy.extraction import extract
from paul_plugin.deploy.fingerprint import check_fingerprint
from paul_plugin.deploy.pca import reduce_dimension
from paul_plugin.deploy.search import read_gallery
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError


def test_descriptors_of_another_model_are_refused(trained, make_trained, dozen, tmp_path):
    file = extract(trained, dozen, tmp_path / 'a.npz').path
    torch.save({'state_dict': without_heads(trained)}, tmp_path / 'bare.pth')
    for _ in range(2):  # what the file lacks is random, and no part of the descriptor
        check_fingerprint(file, open_trained(tmp_path / 'bare.pth', 96, 48))
    for other in (make_trained(seed=1), open_trained(trained.path, 96, 64), reduce_dimension(trained, 8)):
        with pytest.raises(UserError, match='descriptors of 96 numbers of another model than'):
            check_fingerprint(file, other)
        with pytest.raises(UserError, match='of another model than'):
            read_gallery(other, file)


def test_descriptors_of_fewer_numbers_name_the_way_to_them(trained, dozen, tmp_path):
    reduced = reduce_dimension(trained, 8)
    file = extract(reduced, dozen, tmp_path / 'a.npz').path
    with pytest.raises(UserError, match=r'if it was made by --dim 8, take reduce_dimension\(model, 8\)$'):
        read_gallery(trained, file)
    assert read_gallery(reduced, file)[1].shape[1] == 8


def without_heads(trained):
    state = trained.model.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(('classifier', 'embedding'))}
