"""One process or several, the same result: the parts of a distributed step against those of a single process."""

from types import SimpleNamespace

import pytest
import torch
from programs.kill_and_resume import FORKS
from torch import distributed as dist
from torch.nn import functional as F

from paul_plugin import CyclicRankingMiner, IPFLLoss, PatchMemory, PEDALLoss
from paul_plugin.method.camera_pedal import CameraPEDALLoss
from paul_plugin.method.memory import Bank
from paul_plugin.runtime import processes

BATCH, PATCHES, IMAGES, DIM, K = 8, 3, 37, 6, 4
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
GATHERED = (torch.int64, torch.bool, torch.float32, torch.float64, torch.bfloat16)


# ---- what is computed by one process and by several ----------------------------------------------------------------


def pedal_case(seed: int, images: int = IMAGES, k: int = K, scale: float = 10.0) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(BATCH, PATCHES, DIM, dtype=torch.float64, generator=generator)
    bank = torch.randn(PATCHES, images, DIM, dtype=torch.float64, generator=generator)
    return SimpleNamespace(
        features=F.normalize(features, dim=2),
        bank=F.normalize(bank, dim=2),
        rows=torch.randperm(images, generator=generator)[:BATCH],
        old=F.normalize(features + 0.6 * torch.randn(features.shape, dtype=torch.float64, generator=generator), dim=2),
        filled=torch.ones(images, dtype=torch.bool),
        loss=PEDALLoss(k, scale, block_rows=4),
    )


def pedal_cases() -> dict[str, SimpleNamespace]:
    """N is a multiple of neither 2 nor 4 processes."""
    found = {
        'plain': pedal_case(0),
        'k_above_a_shard': pedal_case(1, images=13, k=11),
        'own_rows_elsewhere': pedal_case(2),
        'shard_without_rows': pedal_case(3),
        'fewer_filled_than_k': pedal_case(4),
        'one_filled': pedal_case(5),
        'none_filled': pedal_case(6),
        'equal_rows': pedal_case(7),
        'small_scale': pedal_case(8, scale=1e-3),
        'large_scale': pedal_case(9, scale=1e3),
    }
    found |= {  # among the cameras one that lies in a single shard, one over several, one of a single row
        'cameras': pedal_case(11),
        'camera_of_one_row': pedal_case(12),
        'cameras_with_few_filled': pedal_case(13),
    }
    counts_of = {'cameras': [5, 12, 20], 'camera_of_one_row': [1, 30, 6], 'cameras_with_few_filled': [9, 28]}
    for name, counts in counts_of.items():
        found[name].loss = CameraPEDALLoss(counts, 3, 10.0, k_recall=K, block_rows=4)
    found['cameras_with_few_filled'].filled[2:25] = False
    found['own_rows_elsewhere'].rows = torch.arange(IMAGES - 1, IMAGES - 1 - BATCH, -1)
    found['shard_without_rows'].filled[:20] = False
    for name, rows in (('fewer_filled_than_k', [0, 20, 36]), ('one_filled', [36]), ('none_filled', [])):
        found[name].filled = torch.isin(torch.arange(IMAGES), torch.tensor(rows))
    found['one_filled'].rows[0] = 36  # the only row is the first image's own
    found['equal_rows'].bank = found['equal_rows'].bank[:, torch.arange(IMAGES) % 6]
    return found


def tied_case() -> SimpleNamespace:
    """Every row is as far as every other, and the gradient says which were chosen."""
    case = pedal_case(10)
    case.features = torch.zeros(BATCH, PATCHES, IMAGES + 1, dtype=torch.float64)
    case.features[:, :, IMAGES] = 1
    case.old = torch.eye(IMAGES + 1, dtype=torch.float64)[:BATCH, None].expand(-1, PATCHES, -1)
    case.bank = torch.eye(IMAGES, IMAGES + 1, dtype=torch.float64).expand(PATCHES, -1, -1)
    return case


def pedal(case: SimpleNamespace, mine: slice, held: slice, spread: int | None) -> tuple:
    """Loss and gradient of some images with some rows of the bank."""
    features = case.features[mine].clone().requires_grad_()
    bank, rows = Bank(case.bank[:, held], case.filled[held], held.start or 0, spread), case.rows[mine]
    loss, recall = case.loss.loss_and_recall(features, bank, rows, case.old[mine])
    (grad,) = torch.autograd.grad(loss, features, retain_graph=True)
    alone = case.loss(features, bank, rows)
    assert alone.equal(loss)
    assert torch.autograd.grad(alone, features)[0].equal(grad)
    return loss.detach(), grad, recall


def ipfl_gradient(mine: slice) -> torch.Tensor:
    """Of a linear model whose descriptors are gathered before the mining."""
    generator = torch.Generator().manual_seed(0)
    images, surrogates = torch.randn(2, BATCH, 5, dtype=torch.float64, generator=generator)
    weight = torch.randn(5, 3, dtype=torch.float64, generator=generator).requires_grad_()
    anchors, positives = (processes.gather_with_grad(x[mine] @ weight) for x in (images, surrogates))
    negatives = CyclicRankingMiner(r=2)(anchors)
    loss = IPFLLoss()(anchors, positives, anchors[negatives.clamp(min=0)], negatives >= 0)
    loss.backward()
    return weight.grad


def visit(memory: PatchMemory, steps: range) -> PatchMemory:
    """Some updates; in the last of ten, all images are in the first quarter of the bank."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randperm(IMAGES if step < 9 else IMAGES // 4, generator=generator)[:BATCH]
        memory.update(rows, torch.randn(BATCH, PATCHES, DIM, generator=generator))
    return memory


def make_memory(dtype: torch.dtype, sharded: bool = False) -> PatchMemory:
    return PatchMemory(IMAGES, PATCHES, DIM, 0.3, dtype, sharded=sharded)


def gathered_tensors() -> list[torch.Tensor]:
    values = torch.arange(12).reshape(4, 3) + 100 * processes.rank()
    return [processes.gather(values.to(dtype)) for dtype in GATHERED]


# ---- the processes -------------------------------------------------------------------------------------------------


def work(rank: int, world: int, folder) -> None:
    """All that one process does; what it found goes to a file."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/group', rank=rank, world_size=world)
    mine = processes.own(BATCH // world)
    found = {'pedal': {}, 'replicated': {}, 'memory': {}, 'continued': {}}
    for name, case in (pedal_cases() | {'tied': tied_case()}).items():
        held = processes.share(case.bank.shape[1])
        found['pedal'][name] = pedal(case, mine, held, case.bank.shape[1])
        found['replicated'][name] = pedal(case, mine, slice(None), None)
    for name, dtype in DTYPES.items():
        memory = visit(make_memory(dtype, sharded=True), range(10))
        found['memory'][name] = memory.gathered_state()
        other = make_memory(dtype, sharded=True)
        other.load_whole(visit(make_memory(dtype), range(5)).state_dict())
        found['continued'][name] = visit(other, range(5, 10)).gathered_state()
    found['shard'] = (memory.shard, memory.bank.shape, repr(memory))
    found['whole'] = visit(make_memory(torch.float32), range(2)).gathered_state()
    found['ipfl'] = ipfl_gradient(mine)
    found['gather'] = gathered_tensors()
    found['no_gradient'] = processes.gather(torch.ones(2, requires_grad=True)).requires_grad
    found['scatter_sum'] = processes.scatter_sum(torch.arange(2.0 * world) * (rank + 1))
    found['mean'] = processes.mean(torch.tensor([rank, 1.0]))
    found['any_of'] = [processes.any_of(flag) for flag in (rank == world - 1, False, True)]
    found['shares'] = [processes.share(total) for total in (IMAGES, 3, 40)]
    found['is_first'] = processes.is_first()
    try:
        PatchMemory(world - 1, 1, 1, sharded=True)
    except ValueError as error:
        found['too_few_images'] = str(error)
    torch.save(found, folder / f'{rank}.pt')
    dist.destroy_process_group()


@pytest.fixture(scope='module', params=[2, 4])
def found(request, tmp_path_factory) -> list[dict]:
    """What each of some processes found."""
    folder = tmp_path_factory.mktemp('processes')
    running = [FORKS.Process(target=work, args=(rank, request.param, folder)) for rank in range(request.param)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        process.kill()
    assert [process.exitcode for process in running] == [0] * request.param
    return [torch.load(folder / f'{rank}.pt', weights_only=False) for rank in range(request.param)]


# ---- several against one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', pedal_cases())
@pytest.mark.parametrize('bank', ['pedal', 'replicated'])
def test_pedal(found, bank, name):
    """The mean of the losses and recalls, and the gradients of the mean."""
    loss, grad, recall = pedal(pedal_cases()[name], slice(None), slice(None), None)
    losses, grads, recalls = zip(*(one[bank][name] for one in found))
    assert 0 < recall <= 1
    assert torch.stack(recalls).mean().item() == pytest.approx(recall.item(), abs=1e-6)
    torch.testing.assert_close(torch.stack(losses).mean(), loss, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat(grads) / len(found), grad, rtol=0, atol=1e-12)


def test_pedal_chooses_k_of_tied_rows(found):
    case = tied_case()
    loss, _, _ = pedal(case, slice(None), slice(None), None)
    losses, grads, recalls = zip(*(one['pedal']['tied'] for one in found))
    assert all(recall == 1 for recall in recalls)  # no row is nearer than the own one
    torch.testing.assert_close(torch.stack(losses).mean(), loss, rtol=0, atol=1e-12)
    assert ((torch.cat(grads) < 0).sum(2) == K).all()


@pytest.mark.parametrize('dtype', DTYPES)
def test_memory_is_bit_identical(found, dtype):
    expected = visit(make_memory(DTYPES[dtype]), range(10)).state_dict()
    for name in ('memory', 'continued'):  # the latter was loaded from one process' state in between
        states = [one[name][dtype] for one in found]
        assert list(states[0]) == list(expected)
        assert all(states[0][key].equal(expected[key]) for key in expected)
        assert all(state == {} for state in states[1:])


def test_one_process_goes_on_from_a_gathered_state(found):
    memory = make_memory(torch.float32)
    memory.load_whole(found[0]['memory']['float32'])
    expected = visit(make_memory(torch.float32), range(13))
    assert visit(memory, range(10, 13)).bank.equal(expected.bank)


def test_memory_holds_its_share(found):
    world = len(found)
    shards, shapes, texts = zip(*(one['shard'] for one in found))
    assert sum(shape[1] for shape in shapes) == IMAGES
    assert shards == tuple((rank * IMAGES // world, IMAGES) for rank in range(world))
    assert all(f'rows {first} to' in text for (first, _), text in zip(shards, texts))
    assert f'{world} processes need as many images to share, got {world - 1}' in found[0]['too_few_images']


def test_whole_memory_is_gathered_from_the_first(found):
    assert found[0]['whole']['bank'].equal(visit(make_memory(torch.float32), range(2)).bank)
    assert all(one['whole'] == {} for one in found[1:])


def test_gradient_through_gathered_descriptors(found):
    """The gradients' average, as DistributedDataParallel takes it, is that of a single process."""
    average = torch.stack([one['ipfl'] for one in found]).mean(0)
    torch.testing.assert_close(average, ipfl_gradient(slice(None)), rtol=0, atol=1e-12)


def test_collectives(found):
    world = len(found)
    values = torch.cat([torch.arange(12).reshape(4, 3) + 100 * rank for rank in range(world)])
    for rank, one in enumerate(found):
        for dtype, gathered in zip(GATHERED, one['gather']):
            assert gathered.dtype == dtype
            assert gathered.equal(values.to(dtype))
        assert one['no_gradient'] is False
        factors = world * (world + 1) / 2  # 1 + 2 + ... + W
        assert one['scatter_sum'].tolist() == [2 * rank * factors, (2 * rank + 1) * factors]
        assert one['mean'].tolist() == [(world - 1) / 2, 1.0]
        assert one['any_of'] == [True, False, True]
        assert one['is_first'] == (rank == 0)


def test_shares_cover_all_rows(found):
    for i, total in enumerate((IMAGES, 3, 40)):
        shares = [one['shares'][i] for one in found]
        assert [row for share in shares for row in range(total)[share]] == list(range(total))
        lengths = [len(range(total)[share]) for share in shares]
        assert max(lengths) - min(lengths) <= 1


def test_without_a_process_group():
    tensor = torch.ones(3, requires_grad=True)
    assert (processes.world_size(), processes.rank(), processes.is_first()) == (1, 0, True)
    assert processes.gather_with_grad(tensor) is tensor
    for function in (processes.gather, processes.scatter_sum, processes.mean):
        assert function(tensor).data_ptr() == tensor.data_ptr()
        assert not function(tensor).requires_grad
    assert processes.any_of(True) is True
    assert make_memory(torch.float32, sharded=True).shard is None


def test_pedal_needs_more_rows_than_k_in_all_shards():
    case = pedal_case(0)
    with pytest.raises(ValueError, match='k=4 .* got 4'):
        case.loss(case.features, Bank(case.bank, spread=4), case.rows)
    case.loss(case.features, Bank(case.bank[:, :3], spread=5), case.rows)


def test_a_state_of_other_images_is_refused():
    with pytest.raises(ValueError, match='a bank of 7 images, a state of 37'):
        PatchMemory(7, PATCHES, DIM).load_whole(make_memory(torch.float32).state_dict())
