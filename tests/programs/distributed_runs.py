"""Trains the same job with one process and with several, and compares losses, memory banks and distances.

The comparisons are tests (2 processes); as a program it makes them with any numbers of processes:

    python tests/programs/distributed_runs.py --processes 1 2 4 --steps 20
"""

import argparse
import contextlib
import functools
import math
import multiprocessing
import os
import tempfile
from pathlib import Path

import torch
import torchreid
from torch import distributed as dist
from torch import nn

import paul_plugin
from paul_plugin.checkpoints.folder import CheckpointFolder
from paul_plugin.data.synthetic.render import render
from paul_plugin.engines.rate import choose_rate
from paul_plugin.engines.watch.keep import KeepBest
from paul_plugin.engines.watch.signs import CameraSigns
from paul_plugin.host.engine import set_random_seed

FORKS = multiprocessing.get_context('forkserver')
FORKS.set_forkserver_preload(['paul_plugin.commands.train', 'paul_plugin.run.stages', 'torch._dynamo'])
RECIPROCAL = {'neighbours': 'camera', 'positives': 'reciprocal', 'overlap': 0.2, 'weight_ipfl': 0.0}
OSNET = functools.partial(torchreid.models.build_model, 'paul_osnet_x0_25', pretrained=False)
SETTINGS = {'fixed_statistics': True, 'lr': 0.01, 'batch': 16, 'height': 64, 'build': OSNET}
CASES = {
    'replicated bank': {},
    'bank in shards': {'shard_memory': True},
    'whole images in shards': {'similarity': 'image', 'shard_memory': True},
    'centroids': {'ipfl': 'centroid'},
    'centroids in shards': {'ipfl': 'centroid', 'shard_memory': True},
    'cameras': {'neighbours': 'camera', 'k_camera': 2, 'weight_ipfl': 0.0},
    'reciprocal': RECIPROCAL,
    'reciprocal in shards': {**RECIPROCAL, 'shard_memory': True},
    'cameras in shards': {'neighbours': 'camera', 'k_camera': 2, 'weight_ipfl': 0.0, 'shard_memory': True},
}


def render_target(root: Path, people: int = 9) -> Path:
    render(root / 'synthetic_target', 'target', seed=5, train_ids=people, test_ids=5, images_per_id=6)
    return root


def make_engine(root: Path, fixed_statistics: bool, lr: float, batch: int, height: int, build, **options):
    """An engine in float64; `fixed_statistics` keeps BatchNorm in eval mode, where an image is seen by itself."""
    set_random_seed(3)
    surrogates = ['surrogate_positive'] if options.get('weight_ipfl', 1) else []  # PEDAL alone does without
    datamanager = torchreid.data.ImageDataManager(
        root=str(root), sources='synthetic_target', height=height, width=48, batch_size_train=batch, batch_size_test=4,
        transforms=['random_flip', *surrogates], workers=0, use_gpu=False,
    )  # fmt: skip
    model = build(loss='paul', dim=16).double()
    if fixed_statistics:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval().train = lambda mode=True, module=module: module
    optimizer, scheduler = _optimizer(model, lr)
    engine = paul_plugin.ImagePAULEngine(
        datamanager, model, optimizer, scheduler=scheduler, use_gpu=False, k=5, scale=10.0, **options
    )
    for module in (engine.memory, engine.ipfl):
        module.double()
    # torchreid's images are float32.
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0].double(), *inputs[1:]))
    return engine


def _optimizer(model: nn.Module, lr: float) -> tuple:
    optimizer = torchreid.optim.build_optimizer(model, optim='sgd', lr=lr)
    return optimizer, torchreid.optim.build_lr_scheduler(optimizer, stepsize=50)


def work(rank: int, world: int, folder: Path, run: dict) -> None:
    """One process of a run; the first one leaves losses, bank and distances in `found.pt`."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous{world}', rank=rank, world_size=world)
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        settings = {name: run.get(name, default) for name, default in SETTINGS.items()}
        engine = make_engine(run['root'], **settings, **run.get('options', {}))
        engine.centre_cameras, engine.camera_norms = run.get('centre_cameras', False), run.get('camera_norms', False)
        signs = CameraSigns()
        if run.get('signs'):
            engine.observers += [signs, KeepBest(signs)]
        rate = choose_rate(engine, lambda lr: _optimizer(engine.model, lr), run['ladder']) if 'ladder' in run else None
        losses, distances = [], []
        step, evaluate_rank = engine.forward_backward, torchreid.metrics.evaluate_rank

        def record(data):
            losses.append(step(data))
            if len(losses) == run.get('stop_after', math.inf):
                engine.checkpoint()
                raise KeyboardInterrupt
            return losses[-1]

        def record_distances(distmat, *args, **kwargs):
            distances.append(torch.as_tensor(distmat))
            return evaluate_rank(distmat, *args, **kwargs)

        engine.forward_backward = record
        torchreid.metrics.evaluate_rank = record_distances
        start = 0
        if run.get('resume'):
            start = engine.resume(CheckpointFolder(folder / 'model').read_newest()[1])
        arguments = {'max_epoch': run['epochs'], 'dist_metric': 'cosine', 'ranks': [1], 'eval_freq': 2}
        arguments['test_only'] = run.get('test_only', False)
        with contextlib.suppress(KeyboardInterrupt):
            engine.run(save_dir=str(folder), start_epoch=start, **arguments)
        bank = engine.memory.gathered_state()
        if rank == 0:
            state = {'losses': losses, 'bank': bank, 'distances': distances, 'results': engine.results}
            state |= {'rate': rate, 'signs': signs.signs, 'recall': [entry['recall'] for entry in engine.history]}
            torch.save({**state, 'weights': dict(engine.model.named_parameters())}, folder / 'found.pt')
    if world > 1:
        dist.destroy_process_group()


def train(world: int, folder: Path, **run) -> dict:
    """Runs a training with so many processes; returns what the first one found."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'rendezvous{world}').unlink(missing_ok=True)  # of as many processes before, who would be waited for
    children = [FORKS.Process(target=work, args=(rank, world, folder, run)) for rank in range(world)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * world
    return torch.load(folder / 'found.pt', weights_only=True)


def largest_difference(ours: dict, theirs: dict) -> dict[str, float]:
    """By how much two runs differ at most: in losses, bank, distances and weights.

    A resumed run has recorded its own epochs; they are compared with the other's last ones.
    """
    losses, distances = (
        list(zip(ours[name], theirs[name][-len(ours[name]) :], strict=True)) for name in ('losses', 'distances')
    )
    return {
        'losses': max(abs(a[name] - b[name]) for a, b in losses for name in a),
        'bank': (ours['bank']['bank'] - theirs['bank']['bank']).abs().max().item(),
        'distances': max((a - b).abs().max().item() for a, b in distances),
        'weights': max((a - theirs['weights'][name]).abs().max().item() for name, a in ours['weights'].items()),
    }


def show(ours: dict, theirs: dict) -> str:
    differences = ', '.join(f'{name} {value:.1e}' for name, value in largest_difference(ours, theirs).items())
    return f'{differences}; the same mAP and CMC: {ours["results"] == theirs["results"]}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--steps', type=int, default=20)
    options = parser.parse_args()
    root = render_target(Path(tempfile.mkdtemp()))
    run = {'root': root, 'epochs': -(-options.steps // 3)}  # 54 images in batches of 16
    print(f'{3 * run["epochs"]} steps; largest difference from one process')
    alone = train(1, root / 'alone', **run)
    for before, after in ((2, 1), (1, max(options.processes))):
        folder = root / f'{before} to {after}'
        train(before, folder, stop_after=4, options=CASES['bank in shards'], **run)
        found = train(after, folder, resume=True, options=CASES['bank in shards'], **run)
        print(f'{before} processes, stopped after 4 steps, then {after}, bank in shards: {show(found, alone)}')
    for fixed in (True, False):
        for name, case in CASES.items():
            if not fixed and name != 'replicated bank':
                continue
            alone = train(1, root / f'1 {name} {fixed}', options=case, fixed_statistics=fixed, **run)
            for world in options.processes:
                if world > 1:
                    folder = root / f'{world} {name} {fixed}'
                    found = train(world, folder, options=case, fixed_statistics=fixed, **run)
                    kind = 'BatchNorm in eval mode' if fixed else "each process' own BatchNorm statistics"
                    print(f'{world} processes, {name}, {kind}: {show(found, alone)}')


if __name__ == '__main__':
    main()
