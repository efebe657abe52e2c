"""What a run leaves beside its checkpoints: the numbers of its epochs and of its tests, written and read."""

import json
from pathlib import Path
from typing import NamedTuple

from yacs.config import CfgNode

from ..config import arguments
from ..engines.base import ResumableEngine
from ..engines.watch.signs import SIGNS
from ..engines.watch.verdict import signs_of
from ..runtime import processes
from ..runtime.errors import UserError, printable, reason
from ..runtime.files import write_atomically

RESULTS, RESULTS_OF_TEST, RESULTS_RERANKED = 'results.json', 'results_test.json', 'results_reranked.json'
_BYTES_OF_RERANKING = 20  # for each pair of the N images of query and gallery: its distances, float32, several times


def measure(engine: ResumableEngine, cfg: CfgNode, rerank: bool = False) -> dict[str, dict[str, float]]:
    """Tests the model on the targets: data set -> `{'mAP', 'rank1', 'rank5', 'rank10'}`, fractions.

    Args:
        engine: with the model.
        cfg: pictures of rankings are for `test.evaluate` alone, as in torchreid's `run`.
        rerank: re-rank by k-reciprocal neighbours.
    """
    names = ['dist_metric', 'normalize_feature', 'save_dir', 'use_metric_cuhk03', 'ranks']
    if cfg.test.evaluate and not rerank:
        names += ['visrank', 'visrank_topk']
    options = arguments.engine_run_kwargs(cfg)
    if rerank:
        names.append('rerank')
    engine.test(**{name: options[name] for name in names})
    return engine.results


def need_of_reranking(engine: ResumableEngine) -> str:
    """How much memory `test.rerank` takes, in words: it grows with the square of the number of images."""
    sizes = [sum(len(loader.dataset) for loader in parts.values()) for parts in engine.test_loader.values()]
    images = max(sizes, default=0)
    return f'{_BYTES_OF_RERANKING * images**2 / 1e9:.1f} GB for the {images} images of query and gallery'


def results_path(cfg: CfgNode) -> Path:
    """Where a run writes its results: a test alone leaves those of the training in the same folder as they are."""
    return Path(cfg.data.save_dir, RESULTS_OF_TEST if cfg.test.evaluate else RESULTS)


def write_results(results: dict[str, dict], path: Path, measured: Path | None = None) -> None:
    """Writes `{stage: {'mAP': ...}}`, with a level of data sets between where there are several targets.

    Args:
        results: stage -> data set -> `{'mAP': ...}`.
        path: the file.
        measured: of a test alone, the file that it measured; stands in the file as `weights`.
    """
    flat = {stage: next(iter(of.values())) if len(of) == 1 else of for stage, of in results.items()}
    if measured is not None:
        flat['weights'] = str(measured)
    if processes.is_first():
        write_atomically(json.dumps(flat, indent=2) + '\n', path)


def read_results(path: Path, targets: list[str]) -> dict[str, dict]:
    """What `write_results` wrote, of the stages that were measured on all targets.

    Nothing of a file that is not there or not whole, and of what are no numbers.
    """
    try:
        found = _results_of(json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, RecursionError):
        return {}
    stages = {stage: {targets[0]: tests['']} if '' in tests else tests for stage, tests in found.items()}
    wanted = set(targets)
    return {stage: {name: of[name] for name in targets} for stage, of in stages.items() if wanted <= of.keys()}


def show_results(results: dict[str, dict]) -> None:
    """Prints a table in per cent for each target."""
    for target in next(iter(results.values())):
        print(f'\nResults on {target}, in per cent\n{"":16}{"mAP":>8}{"Rank-1":>8}{"Rank-5":>8}{"Rank-10":>8}')
        for stage, of in results.items():
            numbers = [of[target].get(name) for name in ('mAP', 'rank1', 'rank5', 'rank10')]
            shown = ''.join(f'{"-":>8}' if value is None else f'{100 * value:8.1f}' for value in numbers)
            print(f'{stage.replace("_", " "):16}{shown}')
        if any(len(of[target]) < 4 for of in results.values()):
            print('-: the gallery has no more images than that')


class RunNumbers(NamedTuple):
    """What a run wrote.

    Attributes:
        history: the epochs that are done, each `{'epoch', 'lr', losses, 'mAP', 'rank1'}`; the last two where a test was
            made, of the first data set, fractions.
        results: stage -> data set -> `{'mAP', 'rank1', ...}`, fractions; a data set alone is called ''.
    """

    history: list[dict[str, float]]
    results: dict[str, dict[str, dict[str, float]]]


def read_run(path: str | Path) -> RunNumbers:
    """Reads history.json and results.json of a run's folder; a file that is not there or damaged gives nothing.

    Where there was a test alone, its results are those.

    Raises:
        UserError: if there is no such folder.

    Example:
        >>> read_run('log/paul_synthetic').results['adapted']['']['mAP']
        0.7034116163687516
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f'no run at {printable(path)}: name the folder of a run (its data.save_dir)')
    results = _results_of(_read(path / RESULTS)) or _results_of(_read(path / RESULTS_OF_TEST))
    return RunNumbers(history_of(_read(path / 'history.json')), results)


def read_signs(path: str | Path) -> list[dict]:
    """The signs of cameras that a run recorded in its folder, as `signs_of` gives them; none where there are none."""
    return signs_of(_read(Path(path, SIGNS)))


def history_of(value: object) -> list[dict[str, float]]:
    """The epochs of a history as a file or a checkpoint holds it: their finite numbers, and nothing else."""
    entries = map(_numbers, value if isinstance(value, list) else [])
    return [entry for entry in entries if 'epoch' in entry]


def _read(path: Path) -> object:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        print(f'warning: {printable(path)} is passed over, it cannot be read ({reason(error, 100)})')
        return None


def _numbers(value: object) -> dict[str, float]:
    items = value.items() if isinstance(value, dict) else ()
    return {name: number for name, number in items if type(number) in (int, float) and abs(number) < 1e300}


def _results_of(value: object) -> dict[str, dict[str, dict[str, float]]]:
    """What `write_results` wrote, always with the level of data sets."""
    results = {}
    for stage, tests in (value if isinstance(value, dict) else {}).items():
        by_name = {'': tests} if _numbers(tests) else tests
        measured = {name: _numbers(test) for name, test in by_name.items()} if isinstance(by_name, dict) else {}
        results[stage] = {name: numbers for name, numbers in measured.items() if numbers}
    return {stage: tests for stage, tests in results.items() if tests}
