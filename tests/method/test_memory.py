"""The patch memory bank against its formula and against the reference numbers."""

import pytest
import torch
from helpers.reference_numbers import cases

from paul_plugin import PatchMemory
from paul_plugin.method.memory import mean_cosine


def test_reference():
    memory = PatchMemory(num_images=10, num_patches=6, dim=16).double()
    for step in cases('patch_memory.npz', 'step'):
        memory.update(step['rows'], step['features'][:, ::2].transpose(0, 1))  # row 2i of the reference is real image i
        rows = step['bank'].shape[1]
        torch.testing.assert_close(memory.bank[:, :rows], step['bank'], rtol=0, atol=1e-9)
        assert memory.filled.sum() == rows


@pytest.mark.parametrize('momentum', [0.1, 0.5, 1.0])
def test_formula(momentum):
    memory = PatchMemory(7, 2, 3, momentum).double()
    expected = {}
    for _ in range(5):
        rows = torch.randperm(7)[:3]
        features = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
        memory.update(rows, features)
        for i, row in enumerate(rows.tolist()):
            x = features[i].detach()
            expected[row] = (1 - momentum) * expected[row] + momentum * x if row in expected else x
    for row in range(7):
        assert memory.filled[row] == (row in expected)
        torch.testing.assert_close(memory.bank[:, row], expected.get(row, torch.zeros(2, 3, dtype=torch.float64)))
    assert not memory.bank.requires_grad


def test_is_a_module_with_buffers():
    memory = PatchMemory(5, 2, 3)
    memory.update(torch.tensor([4]), torch.ones(1, 2, 3))
    other = PatchMemory(5, 2, 3)
    other.load_state_dict(memory.state_dict())
    assert other.bank.equal(memory.bank)
    assert other.filled.equal(memory.filled)
    assert list(memory.parameters()) == []


def test_bfloat16_bank_is_updated_in_float32():
    memory = PatchMemory(2, 1, 1, dtype=torch.bfloat16)
    memory.update(torch.tensor([0]), torch.tensor([[[1.0]]]))
    memory.update(torch.tensor([0]), torch.tensor([[[2.0]]]))
    assert memory.bank.dtype == torch.bfloat16
    assert memory.bank[0, 0, 0] == torch.tensor(1.1).bfloat16()


def test_image_memory_reference():
    """The release's centroid: the mean of an image's and its surrogate's embedding, in the same running average."""
    memory = PatchMemory(num_images=10, num_patches=1, dim=48).double()
    for step in cases('image_memory.npz', 'step'):
        means = (step['embeddings'][::2] + step['embeddings'][1::2]) / 2
        memory.update(step['images'], means.unsqueeze(1))
        torch.testing.assert_close(memory.bank[0, step['images']], step['centroids'], rtol=0, atol=1e-9)


def test_mean_cosine_is_that_of_all_pairs():
    bank = torch.randn(3, 20, 8) + 0.5
    filled = torch.rand(20) < 0.7
    vectors = torch.nn.functional.normalize(bank.transpose(0, 1)[filled].flatten(1), dim=1)
    pairs = [float(a @ b) for i, a in enumerate(vectors) for j, b in enumerate(vectors) if i != j]
    assert mean_cosine(bank, filled) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    assert mean_cosine(torch.ones(6, 50, 4)) == pytest.approx(1)
    assert mean_cosine(torch.zeros(6, 50, 4)) == 0
    assert mean_cosine(bank[:, :1]) == 0
