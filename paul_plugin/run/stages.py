"""A run from a config: finds what it starts with, renders or finds the data, and goes through its stages."""

import contextlib
import time
from pathlib import Path

import torch
from torch import nn
from yacs.config import CfgNode

from ..checkpoints import resume
from ..checkpoints.resume import go_on
from ..checkpoints.weights import load_weights
from ..checkpoints.weights_file import WeightsFile
from ..config import arguments
from ..config.manual import not_default
from ..config.settings import with_keys
from ..engines.base import ResumableEngine
from ..engines.watch.keep import find_kept
from ..engines.watch.signs import CameraSigns
from ..engines.watch.verdict import START, in_words
from ..host.engine import set_random_seed
from ..host.log import logged_to
from ..runtime import processes
from ..runtime.errors import UserError, is_out_of_memory, printable
from ..runtime.files import save_atomically
from ..runtime.lock import locked
from . import agreement
from .build import build_engine, build_model, build_test_engine, fit_rate, load_into, observers_of
from .config_file import config_path, write_config
from .data import build_datamanager, check_data, render_data, show_left_out
from .norms import measure_on_training_images
from .record import (
    RESULTS_RERANKED,
    measure,
    need_of_reranking,
    read_results,
    results_path,
    show_results,
    write_results,
)
from .start import Stage, Start, check_names, checkpoints_of, find_start, stages_of


def _title(text: str) -> None:
    print(f'\n=== {text} ===')


def train_supervised(start: Start) -> nn.Module:
    """torchreid's own training: trains and tests any of its models, PatchNet among them, with labels.

    Returns:
        The model.
    """
    cfg, point = start.cfg, start.point
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    agreement.check_images(datamanager)
    load = start.file is not None and point is None
    pretrained = cfg.model.pretrained and not load and point is None
    model = build_model(cfg, datamanager.num_train_pids, pretrained)
    if load:
        unmeasured = load_into(cfg, model, start.file)
        start.file.forget()
        if not cfg.test.evaluate:
            measure_on_training_images(cfg, model, datamanager, unmeasured)
    engine = build_engine(cfg, datamanager, model)
    if point is not None:
        go_on(engine, point)
    engine.run(**arguments.engine_run_kwargs(cfg) | {'start_epoch': start.epochs})
    show_left_out(left_out)
    return model


def pretrain(start: Start, path: Path) -> None:
    """The pre-training stage: trains with labels, and saves the weights with the config that they come from."""
    _title(f'Pre-training with labels on {", ".join(start.cfg.data.sources)}')
    model = train_supervised(start)
    cfg = with_keys(start.cfg, {'train.start_epoch': start.epochs})
    with processes.first_alone() as first:
        if first:
            save_atomically({'state_dict': model.state_dict(), 'config': cfg.dump()}, path)


def load_pretrained(engine: ResumableEngine, cfg: CfgNode, file: WeightsFile) -> bool:
    """Loads weights into the engine's model; returns whether they have been adapted by such a run before."""
    loaded = load_weights(engine.model, file)
    file.forget()  # of the memory that a run needs
    print(f'Loaded {len(loaded.loaded)} tensors from {printable(file.path)}')
    classifiers = [name for name in loaded.left if name.startswith('classifier.')]
    if classifiers:
        print(
            f'* the {len(classifiers)} tensors of its classifiers are left out, which tell the people of its training '
            'apart: this stage uses none'
        )
    of_backbone = loaded.kind == 'torchreid'
    missing = [name for name in loaded.missing if name.startswith('backbone.') or not of_backbone]
    for words, names in (('left in the file', loaded.left), ('not in the file', missing)):
        others = [name for name in names if not name.startswith('classifier.')]
        if others:
            print(f'* {words}: {", ".join(map(printable, others))}')
    if of_backbone:
        print(
            f"{printable(file.path)} is a model of torchreid's: its patches are bands, unless they are named; its "
            'branches start as its own head, or without one as projections that keep distances'
        )
    # It changes nothing that a plain test sees, which may have no training images.
    if not cfg.test.evaluate or cfg.test.camera_norms:
        measure_on_training_images(cfg, engine.model, engine.datamanager, loaded.unmeasured)
    return loaded.adapted


def measure_and_write(engine: ResumableEngine, cfg: CfgNode, name: str, file: Path | None) -> dict[str, dict]:
    """Tests the model, of a test alone with the files that it leaves: the plain figures first, then those re-ranked.

    Args:
        engine: with the model.
        cfg: the config.
        name: what the figures are called.
        file: where the model comes from.

    Returns:
        name -> what `measure` gives.

    Raises:
        UserError: if the memory is too small to re-rank.
    """
    if not cfg.test.evaluate:
        return {name: measure(engine, cfg)}
    need = need_of_reranking(engine)
    if cfg.test.rerank:
        print(f'test.rerank takes about {need}; the figures without it come first')
    found, path = {name: measure(engine, cfg)}, results_path(cfg)
    write_results(found, path, file)
    if cfg.test.rerank:
        try:
            reranked = {name: measure(engine, cfg, rerank=True)}
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f'out of memory: test.rerank takes about {need}: set it to False, or use a larger machine; the figures '
                f'without it are in {printable(path)}'
            ) from None
        write_results(reranked, path.with_name(RESULTS_RERANKED), file)
        show_results({'re-ranked': reranked[name]})
    return found


def adapt(start: Start) -> None:
    """The unsupervised run, stage by stage.

    Everything that can refuse the data or the settings is built before the first stage begins.
    """
    cfg, point = start.cfg, start.point
    set_random_seed(cfg.train.seed)
    datamanager = build_datamanager(cfg)
    left_out = check_data(cfg, datamanager)
    agreement.check_images(datamanager)
    # One class: not even the number of identities reaches this stage.
    model = build_model(cfg, 1, cfg.model.pretrained and start.file is None and point is None)
    engine = (build_test_engine if cfg.test.evaluate else build_engine)(cfg, datamanager, model)
    signs = CameraSigns()
    engine.observers += [] if cfg.test.evaluate else observers_of(cfg, signs)
    tested = list(engine.test_loader)  # the targets with labels
    path = results_path(cfg)
    results = processes.from_first(results_before(start, tested))
    stages = stages_of(start, bool(tested), results)
    file = next((found.path for found in (point, start.file) if found is not None), None)
    adapted = False
    for stage in stages:
        match stage:
            case Stage.PRETRAIN:
                pretrain(start.pretraining, start.file.path)
            case Stage.FORGET:
                if processes.is_first():
                    path.unlink(missing_ok=True)
            case Stage.LOAD:
                adapted = load_pretrained(engine, cfg, start.file)
            case Stage.MEASURE_START:
                name = ('adapted' if cfg.test.evaluate else 'start') if adapted else 'direct_transfer'
                _title(f'{f"Test of {printable(file)} on" if adapted else "Direct transfer to"} {", ".join(tested)}')
                results = {**measure_and_write(engine, cfg, name, file), **results}
                if not cfg.test.evaluate:
                    write_results(results, path)
            case Stage.GO_ON:
                go_on(engine, point)
                if Stage.ADAPT not in stages:  # which does it, once later checkpoints are set aside
                    engine.folder = checkpoints_of(cfg)
                    engine.take_up()
            case Stage.ADAPT:
                _title(f'Adapting to {", ".join(cfg.data.sources)} without labels')
                if point is None and start.epochs < cfg.train.max_epoch:
                    fit_rate(cfg, engine)
                engine.run(**arguments.engine_run_kwargs(cfg) | {'start_epoch': start.epochs})
                if engine.results:
                    results['adapted'] = engine.results
            case Stage.TEST:
                _title(f'Test of {printable(point.path)}')
                load_weights(engine.model, point)
                results = measure_and_write(engine, cfg, 'adapted', file)
            case Stage.KEEP:
                results |= take_kept(engine, cfg, results, signs.signs)
    if cfg.paul.keep == 'last':
        results.pop('kept', None)  # of a run before this one, which did keep the best
    show_left_out(left_out)
    report(cfg, results, path)
    if not cfg.test.evaluate and cfg.train.max_epoch > 0:
        print(f'\n{signs.verdict(engine, cfg.paul.keep)}')


def results_before(start: Start, tested: list[str]) -> dict[str, dict]:
    """What the run that it goes on from has measured on these targets and counts still, by the file in its folder."""
    if start.point is None or not tested or start.cfg.test.evaluate:
        return {}
    results = read_results(results_path(start.cfg), tested)
    if start.cfg.model.resume != resume.AUTO:
        for name in ('adapted', 'kept'):  # of a later epoch than the checkpoint that was named
            results.pop(name, None)
    return results


def take_kept(engine: ResumableEngine, cfg: CfgNode, results: dict[str, dict], signs: list[dict]) -> dict[str, dict]:
    """Measures the model that the run keeps, where there are labels, and leaves it in the engine.

    Returns:
        `kept` -> what `measure` gives; nothing without labels or without a kept model, which is where cameras are
        unknown. No model is tested twice: of the last epoch and of the start it is what was measured before.
    """
    folder = checkpoints_of(cfg)
    sign = find_kept(folder, signs)
    results.pop('kept', None)  # of fewer epochs
    if sign is None:
        return {}
    if sign is signs[-1]:
        return {'kept': results['adapted']} if 'adapted' in results else {}
    if not engine.test_loader:
        return {}
    load_weights(engine.model, folder.kept)
    of_start = results.get('direct_transfer') or results.get('start')
    if sign['name'] == START and of_start:
        return {'kept': of_start}
    _title(f'Test of the model that the run keeps: {in_words(sign["name"])}')
    return {'kept': measure(engine, cfg)}


def report(cfg: CfgNode, results: dict[str, dict], path: Path) -> None:
    """Writes and prints the results, or says where the model is that nothing could be tested with."""
    if results:
        if not cfg.test.evaluate:
            write_results(results, path)
        show_results(results)
        print(f'\nWritten to {printable(path)}')
    else:
        print(f'\nNo results, as there is nothing to test on. {_where_the_model_is(cfg)}')


def _where_the_model_is(cfg: CfgNode) -> str:
    folder = checkpoints_of(cfg)
    if cfg.train.max_epoch == 0:  # what lies in the folder is of an earlier run
        return 'Nothing was trained, as train.max_epoch is 0'
    if folder.kept.exists():  # it may be the start
        return f'The model that the run keeps is {printable(folder.kept)}'
    return f'The adapted model is {printable(folder.newest())}'


def set_aside(cfg: CfgNode) -> None:
    """Renames the checkpoints of an earlier run, which a run that starts anew must not be taken for."""
    if not cfg.model.resume and not cfg.test.evaluate and cfg.train.max_epoch > 0:
        checkpoints_of(cfg).set_aside()
    elif cfg.paul.keep == 'last' and not cfg.test.evaluate:  # or tools would take what it no longer keeps
        checkpoints_of(cfg).set_kept_aside()
    elif cfg.model.resume == resume.AUTO and not cfg.test.evaluate:  # or each restart would set one more aside
        checkpoints_of(cfg).remove_kept_start()


def run(cfg: CfgNode, file: WeightsFile | None = None) -> None:
    """Runs what a config says, all its stages.

    Args:
        cfg: the config.
        file: what `model.load_weights` names, where it was read already.

    Raises:
        UserError: for what the user can mend, before any long work starts.
    """
    agreement.check_settings(cfg)
    check_names(cfg)
    start = find_start(cfg, file)
    with only_run_of(cfg):
        run_alone(start, cfg)


def only_run_of(cfg: CfgNode) -> contextlib.AbstractContextManager:
    """Keeps other runs away from data.save_dir; of several processes the first does, and a test needs no lock."""
    folder = Path(cfg.data.save_dir)
    refusal = f'another run writes into {printable(folder)}: wait for it, or choose another data.save_dir'
    return locked(folder, refusal) if processes.is_first() and not cfg.test.evaluate else contextlib.nullcontext()


def run_alone(start: Start, given: CfgNode) -> None:
    """The run, once no other one writes into its folder.

    Args:
        start: what it starts with.
        given: the config as the user gave it.
    """
    cfg = start.cfg
    kind = 'test' if cfg.test.evaluate else 'train'
    torch.backends.cudnn.benchmark = cfg.use_gpu
    log = Path(cfg.data.save_dir, f'{kind}.log{time.strftime("-%Y-%m-%d-%H-%M-%S")}')
    with logged_to(log) if processes.is_first() else processes.silence():
        print(
            f'Configuration, where it is not the default; all of it is in {printable(config_path(cfg))}\n'
            f'{not_default(cfg)}\n'
        )
        workers = arguments.workers(cfg)
        if workers < cfg.data.workers:
            print(f'data.workers {cfg.data.workers} is lowered to {workers}, the number of cores\n')
        with processes.first_alone() as first:
            stage = start.pretraining
            parts = [(start, given), *([(stage, stage.cfg)] if stage else [])]
            for part, its in parts if first else ():
                render_data(part.cfg)
                write_config(its, part)
                set_aside(part.cfg)
        if cfg.loss.name == 'paul':
            adapt(start)
        else:
            train_supervised(start)
