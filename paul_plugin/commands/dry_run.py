"""What a run would do: the checks that it makes before it trains, its stages; nothing is written."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torch import nn
from yacs.config import CfgNode

from ..checkpoints import published
from ..checkpoints.resume import go_on
from ..checkpoints.weights import load_weights
from ..checkpoints.weights_file import WeightsFile
from ..config.settings import with_keys
from ..data.folder import NAME
from ..data.synthetic.datasets import SYNTHETIC
from ..host.data import DataManager, items_of
from ..run.build import build_engine, build_model, build_test_engine, load_into
from ..run.data import build_datamanager, check_data, to_render
from ..run.record import results_path
from ..run.stages import only_run_of, results_before
from ..run.start import Stage, Start, check_names, checkpoints_of, find_start, stages_of, start_at
from ..runtime import launch, randomness
from ..runtime.errors import UserError, printable


class Looked(NamedTuple):
    """What was found of one training, the run's or its pre-training's.

    Attributes:
        start: what it starts with.
        batches: of an epoch.
        tested: the targets with labels.
    """

    start: Start
    batches: int
    tested: list[str]

    @property
    def epochs(self) -> int:
        """That are still to be done."""
        return max(0, self.start.cfg.train.max_epoch - self.start.epochs)

    @property
    def training(self) -> str:
        """In words."""
        return f'{self.epochs} epochs of {self.batches} batches of {self.start.cfg.train.batch_size} images'


def show(cfg: CfgNode, file: WeightsFile | None = None) -> None:
    """Makes the checks of a run, and prints its data, its stages and where it would write.

    Args:
        cfg: a config that `check_config` has passed.
        file: what `model.load_weights` names, where it was read already.

    Raises:
        UserError: for what a run would refuse before it starts.
    """
    if launch.launched():
        raise UserError('--dry-run looks at one process: start it without torchrun')
    check_names(cfg)
    start = _start_of(cfg, file)
    _check_target(start.cfg)
    with randomness.seeded(cfg.train.seed):
        parts = [_look_at(part) for part in filter(None, (start.pretraining, start))]
        print('\nIt would do, one after the other:')
        for number, line in enumerate(_stages(parts), 1):
            print(f'  {number}. {line}')
    _show_target(parts[-1])
    print('Nothing was started, and nothing written.')


def _start_of(cfg: CfgNode, file: WeightsFile | None) -> Start:
    """What the run starts with; published weights that are not there yet are not fetched."""
    path = published.to_fetch(cfg.model.load_weights)
    if path is None or cfg.model.resume:
        return find_start(cfg, file)
    name = cfg.model.load_weights
    start = find_start(with_keys(cfg, {'model.load_weights': '', 'paul.pretrain.config': ''}))
    print(f'{name} would be fetched from {published.PUBLISHED[name].address} to {printable(path)}; it is not checked')
    return start_at(with_keys(start.cfg, {'model.load_weights': str(path)}), start.point)


def _check_target(cfg: CfgNode) -> None:
    """Refuses a data.save_dir that cannot be written to, or that another run writes to.

    Raises:
        UserError: naming it, or the folder on its way that is none, or is closed.
    """
    folder = Path(cfg.data.save_dir)
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UserError(f'{printable(there)} is no folder: choose another data.save_dir')
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f'no permission to write to {printable(there)}: choose another data.save_dir')
    if (folder / '.lock').exists():
        with only_run_of(cfg):
            pass


def _look_at(start: Start) -> Looked:
    """Reads and counts the data, and builds everything that can refuse them or the settings."""
    cfg = start.cfg
    print(f'\nData of {"the pre-training, " if cfg.loss.name != "paul" else ""}{", ".join(cfg.data.sources)}:')
    missing = to_render(cfg)
    if missing:
        train, test = _number_of_images(cfg)
        print(f'{", ".join(missing)}: would be rendered in {printable(cfg.data.root)}')
        print(f'  training: {train} images; query and gallery: {test}')
        _load(start, _model(start, 1))
        return Looked(start, train // cfg.train.batch_size, list(dict.fromkeys(cfg.data.targets)))
    with contextlib.redirect_stdout(io.StringIO()):  # torchreid's tables and lists of transforms
        datamanager = build_datamanager(cfg)
    for line in _notes(datamanager):
        print(line)
    check_data(cfg, datamanager)
    print('\n'.join(_counts(datamanager, cfg.test.evaluate)))
    model = _model(start, 1 if cfg.loss.name == 'paul' else datamanager.num_train_pids)
    only_tests = cfg.test.evaluate and cfg.loss.name == 'paul'
    with contextlib.redirect_stdout(io.StringIO()):
        engine = (build_test_engine if only_tests else build_engine)(cfg, datamanager, model)
    if start.point is not None and not cfg.test.evaluate:
        go_on(engine, start.point)
    else:
        _load(start, model)
    return Looked(start, len(datamanager.train_loader), list(datamanager.test_loader))


def _number_of_images(cfg: CfgNode) -> tuple[int, int]:
    """How many images are trained on, and how many are in all queries and galleries together, some not rendered yet."""
    if {*cfg.data.sources, *cfg.data.targets} <= set(SYNTHETIC):
        counts = cfg.paul.synthetic
        train, test = (counts[people] * counts.images_per_id for people in ('train_ids', 'test_ids'))
        return train * len(cfg.data.sources), test * len(cfg.data.targets)
    items = items_of(build_datamanager(with_keys(cfg, {'data.workers': 0})))
    train = len(items.pop('train'))
    return train, sum(map(len, items.values()))


def _model(start: Start, classes: int) -> nn.Module:
    """The model of a run, without ImageNet's weights, which would have to be fetched."""
    with contextlib.redirect_stdout(io.StringIO()):
        return build_model(start.cfg, classes, pretrained=False)


def _load(start: Start, model: nn.Module) -> None:
    """Loads the weights that the run starts from, if they are there, and says which they are."""
    cfg = start.cfg
    if start.point is not None:
        load_weights(model, start.point)
    elif os.path.isfile(start.weights):
        load_into(cfg, model, start.file)
        print(f'Weights: {printable(start.weights)} is readable, and of {cfg.model.name}')
    elif cfg.model.pretrained and not start.weights:
        print(f"Weights: ImageNet's of {cfg.model.name}, fetched where torch's cache lacks them")


def _notes(datamanager: DataManager) -> list[str]:
    """How folders of crops were read and what was left out, a line each."""
    tests = (loader.dataset for loaders in datamanager.test_loader.values() for loader in loaders.values())
    lines = [line for dataset in (datamanager.train_loader.dataset, *tests) for line in getattr(dataset, 'notes', ())]
    return list(dict.fromkeys(lines))


def _counts(datamanager: DataManager, only_tests: bool) -> Iterator[str]:
    """A table of the images, persons and cameras of each set; a test alone may have stand-ins to train on."""
    yield f'  {"":36} {"images":>8} {"persons":>8} {"cameras":>8}'
    rows = {} if only_tests else {f'training, {", ".join(datamanager.sources)}': items_of(datamanager)['train']}
    for target, loaders in datamanager.test_loader.items():
        rows |= {f'{part}, {target}': loader.dataset.data for part, loader in loaders.items()}
    for name, items in rows.items():
        # Of a folder nobody knows who its training images show, and maybe not which cameras took them.
        unknown = NAME in datamanager.sources and name.startswith('training')
        persons, cameras = (len({item[place] for item in items}) for place in (1, 2))
        shown = ('-' if unknown else persons, '-' if unknown and cameras == 1 else cameras)
        yield f'  {name:36} {len(items):8} {shown[0]:>8} {shown[1]:>8}'


def _stages(parts: list[Looked]) -> Iterator[str]:
    """What the run does, a line each."""
    own = parts[-1]
    cfg, point = own.start.cfg, own.start.point
    targets = ', '.join(own.tested)
    tested = f'then test on {targets}' if targets else 'no test, as there are no labels'
    if cfg.loss.name != 'paul':
        if not cfg.test.evaluate:
            yield f'train with labels on {", ".join(cfg.data.sources)}: {own.training}'
        yield f'test on {targets}'
        return
    path = results_path(cfg)
    for stage in stages_of(own.start, bool(own.tested), results_before(own.start, own.tested)):
        if stage is Stage.FORGET and not path.exists():
            continue
        detail = {
            Stage.PRETRAIN: f': {", ".join(parts[0].start.cfg.data.sources)}, {parts[0].training}',
            Stage.LOAD: f': {printable(own.start.weights)}',
            Stage.MEASURE_START: f' on {targets}',
            Stage.GO_ON: f': {printable(point and point.path)}, {own.start.epochs} epochs are done',
            Stage.ADAPT: f': {", ".join(cfg.data.sources)}, {own.training}; {tested}',
            Stage.TEST: f' on {targets}',
        }
        yield stage.value + detail.get(stage, '')


def _show_target(own: Looked) -> None:
    cfg = own.start.cfg
    files = ['logs', *([] if cfg.test.evaluate else ['checkpoints'])]
    if own.tested and cfg.loss.name == 'paul':
        files.append(results_path(cfg).name)
    print(f'It would write to {printable(cfg.data.save_dir)}: {", ".join(files)}')
    there = checkpoints_of(cfg).files()
    if there and not cfg.model.resume and not cfg.test.evaluate and cfg.train.max_epoch > 0:
        print(f'The checkpoints of an earlier run there, {len(there)}, would be moved to a folder beside them')
