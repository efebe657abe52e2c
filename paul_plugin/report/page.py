"""Writes the report of a run: one HTML page that holds its numbers, pictures and settings, and loads nothing."""

import base64
import io
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import jinja2
from PIL import Image, features
from yacs.config import CfgNode

from ..config.keys import all_keys, get_default_config, value_of
from ..figures.curves import draw_curves
from ..figures.quantities import quantities, titled
from ..run.record import RunNumbers, history_of, read_run
from ..run.trained import Trained
from ..runtime.files import write_atomically

_ROOM = 3_600_000  # bytes of all pictures together; base64 makes 4.8 MB of them
_LARGEST_WEBP = 16_383  # pixels of a side
_NOT_ASKED_FOR = ('use_gpu', 'model.resume')  # where a run went on, not what it computes
Picture = tuple[str, str, Image.Image]  # heading, one paragraph of explanation, image


def make_report(trained: Trained, out: str | Path, pictures: Sequence[Picture]) -> Path:
    """Writes the report of a trained model: what its run wrote, and pictures of it.

    Args:
        trained: the model; its numbers come from the folder of its run or, where that is not there, from its file.
        out: the HTML file.
        pictures: heading, explanation and image of each; the curves are added before them.

    Returns:
        The path of the file.

    Raises:
        UserError: if matplotlib is missing.
        OSError: if the file cannot be written.

    Example:
        >>> make_report(open_trained('log/paul_synthetic'), 'report.html', [('Patches', 'Where they lie.', image)])
        PosixPath('report.html')
    """
    run = RunNumbers([], {}) if trained.run is None else read_run(trained.run)
    run = run._replace(history=run.history or history_of(trained.checkpoint.get('history')))
    config = trained.cfg if trained.checkpoint.get('config') else None
    results = run.results or _last_test(run.history)
    pictures = [*_curves(trained, run), *pictures]
    write_report(out, _title(trained), _facts(trained), config, results, run.history, pictures)
    return Path(out)


def write_report(
    path: str | Path,
    title: str,
    facts: Sequence[tuple[str, object]],
    config: CfgNode | None,
    results: dict[str, dict[str, dict[str, float]]],
    history: list[dict[str, float]],
    pictures: Sequence[Picture],
) -> None:
    """Writes the page. All text is escaped, images are embedded, and the browser is told to load nothing.

    An image is shown at the size that its `info['dpi']` gives it (96 to an inch if it has none), smaller
    where the window is smaller; on a phone at least 608 pixels wide, and it scrolls in its own box.

    Args:
        path: the HTML file.
        title: its heading.
        facts: names and values below it.
        config: the configuration of the run, if it is known.
        results: stage -> data set -> name -> fraction, as `read_run` gives them.
        history: the epochs, the same.
        pictures: heading, explanation and image of each.

    Raises:
        OSError: if the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template('page.html').render(
        title=title,
        facts=facts,
        tables=_result_tables(results),
        epochs=_epoch_table(history),
        pictures=_embedded(pictures),
        config=config and config.dump(),
        changed=[(key, _text(value), _text(default)) for key, value, default in _changed(config)],
        command=_command(config),
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, Path(path))


Table = tuple[str, list[str], list[tuple[str, list[str]]]]  # caption, columns, rows


def _result_tables(results: dict[str, dict[str, dict[str, float]]]) -> list[Table]:
    """A table for each data set, in per cent: the stages, and what the adaptation changed."""
    tables = []
    for dataset in dict.fromkeys(name for tests in results.values() for name in tests):
        stages = {stage: tests[dataset] for stage, tests in results.items() if dataset in tests}
        columns = list(dict.fromkeys(name for test in stages.values() for name in test))
        rows = [
            (stage.replace('_', ' '), [f'{100 * test[name]:.1f}' if name in test else '' for name in columns])
            for stage, test in stages.items()
        ]
        if {'direct_transfer', 'adapted'} <= stages.keys():
            before, after = stages['direct_transfer'], stages['adapted']
            both = before.keys() & after.keys()
            change = [f'{100 * (after[name] - before[name]):+.1f}' if name in both else '' for name in columns]
            rows.append(('change', change))
        caption = f'{dataset}, per cent' if dataset else 'per cent'
        tables.append((caption, ['', *(name.replace('rank', 'Rank-') for name in columns)], rows))
    return tables


def _epoch_table(history: list[dict[str, float]]) -> Table | None:
    if not history:
        return None
    names = quantities(history)
    rows = [
        (f'{entry["epoch"]:g}', [f'{titled(name)[1] * entry[name]:.4g}' if name in entry else '' for name in names])
        for entry in history
    ]
    return 'means over the steps of each epoch', ['epoch', *(titled(name)[0] for name in names)], rows


def _changed(config: CfgNode | None) -> list[tuple[str, object, object]]:
    """Key, value and default of what was asked for."""
    defaults = get_default_config()
    keys = [key for key in all_keys(defaults) if key not in _NOT_ASKED_FOR] if config else []
    both = ((key, value_of(config, key), value_of(defaults, key)) for key in keys)
    return [(key, value, default) for key, value, default in both if value != default]


def _text(value: object) -> str:
    return 'none' if value in ('', []) else str(value)


def _command(config: CfgNode | None) -> str:
    """The command line that gives this configuration again."""
    pairs = [f'{key} {_quote(str(value))}' for key, value, _ in _changed(config)]
    return ' \\\n  '.join(['python tools/main.py', *pairs])


def _quote(text: str) -> str:
    """A word for the shell; where that is safe, lists as "['a']", which shlex would fill with quotes of its own."""
    return f'"{text}"' if "'" in text and not set(text) & set('"$`\\!') else shlex.quote(text)


def _embedded(pictures: Sequence[Picture]) -> list[dict[str, object]]:
    """What the template shows of each picture."""
    shown = []
    files = _encode([image for *_, image in pictures])
    for (heading, explanation, image), (kind, content) in zip(pictures, files, strict=True):
        scale = 96 / (image.info.get('dpi', (96, 96))[0] or 96)
        size = {'width': round(image.width * scale), 'height': round(image.height * scale)}
        source = f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
        shown.append({'heading': heading, 'explanation': explanation, 'source': source, **size})
    return shown


def _encode(images: Sequence[Image.Image]) -> list[tuple[str, bytes]]:
    """Format and bytes of each image: without loss where there is room, else the largest ones at a high quality."""
    files = [_lossless(image) for image in images]
    for index in sorted(range(len(files)), key=lambda index: -len(files[index][1])):
        if sum(len(content) for _, content in files) <= _ROOM:
            break
        files[index] = ('jpeg', _save(images[index].convert('RGB'), 'JPEG', quality=85))
    return files


def _lossless(image: Image.Image) -> tuple[str, bytes]:
    """WebP, smaller than PNG for curves and for sheets of crops, unless the image is too long or PIL lacks it."""
    if max(image.size) <= _LARGEST_WEBP and features.check('webp'):
        return 'webp', _save(image, 'WEBP', lossless=True)
    return 'png', _save(image, 'PNG', optimize=True)


def _save(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _curves(trained: Trained, run: RunNumbers) -> list[Picture]:
    """The curves of the run and of the pre-training stage in its folder, as far as there are any."""
    stage = None if trained.run is None else trained.run / 'pretrain'
    before = read_run(stage).history if stage and stage.is_dir() else []
    pictures = []
    if run.history:
        pictures.append(('Curves', _explain_curves(trained.cfg, run.history), draw_curves([('this run', *run)])))
    if before:
        explanation = 'The stage that made the weights which this run started from, with labels on its own data.'
        pictures.append(('Pre-training', explanation, draw_curves([('pre-training', before, {})])))
    return pictures


def _explain_curves(cfg: CfgNode, history: list[dict[str, float]]) -> str:
    parts = ['Means over the steps of each epoch.']
    method = cfg.paul
    if cfg.loss.name == 'paul':
        parts += [
            f'The loss is {method.weight_pedal:g} x PEDAL (section 3.2), which draws patches to their nearest in the',
            f'memory bank, + {method.weight_ipfl:g} x IPFL (section 3.3), which draws an image to its surrogate and',
            'away from a negative that cyclic ranking mines. The mean cosine between the descriptors in the bank warns',
            f'of a collapse when it passes {method.collapse_cosine:g}.',
        ]
    if any('mAP' in entry for entry in history):
        parts.append('mAP and Rank-1 are those of the first target with labels, where a test was made;')
        parts.append('a dashed line is the direct transfer, the model before it was adapted.')
    return ' '.join(parts)


def _last_test(history: list[dict[str, float]]) -> dict[str, dict[str, dict[str, float]]]:
    """The last test of a run that writes no results, such as one with labels, as if it did."""
    tests = [entry for entry in history if 'mAP' in entry and 'rank1' in entry]
    return {f'epoch {test["epoch"]:g}': {'': {name: test[name] for name in ('mAP', 'rank1')}} for test in tests[-1:]}


def _title(trained: Trained) -> str:
    cfg = trained.cfg
    if not trained.checkpoint.get('config'):
        return f'{cfg.model.name}: {trained.path.name}'
    sources = ', '.join(cfg.data.sources)
    if cfg.loss.name == 'paul':
        return f'{cfg.model.name} adapted to {sources} without labels'
    return f'{cfg.model.name} trained on {sources}'


def _facts(trained: Trained) -> list[tuple[str, object]]:
    """What identifies the model, as far as its file tells."""
    cfg, checkpoint = trained.cfg, trained.checkpoint
    facts = [
        ('Model', f'{cfg.model.name}, {cfg.paul.num_patches} patches x {cfg.paul.feature_dim} numbers'),
        ('Images', f'{cfg.data.height} x {cfg.data.width} pixels, height x width'),
        ('Weights', trained.path),
    ]
    if checkpoint.get('config'):
        facts.insert(0, ('Data', f'trained on {", ".join(cfg.data.sources)}, tested on {", ".join(cfg.data.targets)}'))
        facts.append(('Seed', cfg.train.seed))
    if isinstance(checkpoint.get('epoch'), int):
        facts.append(('Epochs', checkpoint['epoch']))
    facts.append(_date(trained))
    if isinstance(checkpoint.get('software'), dict):
        facts.append(('Software', ', '.join(f'{name} {version}' for name, version in checkpoint['software'].items())))
    return facts


def _date(trained: Trained) -> tuple[str, str]:
    """When the run was last started, by the name of its log; the date of the weights where there is no log."""
    logs = sorted(path.name for path in trained.run.glob('train.log-*')) if trained.run else []
    started = re.fullmatch(r'train\.log-(\d+-\d+-\d+)-(\d+)-(\d+)-\d+', logs[-1]) if logs else None
    if started:
        return 'Started', '{} {}:{}'.format(*started.groups())
    return 'Saved', time.strftime('%Y-%m-%d %H:%M', time.localtime(trained.path.stat().st_mtime))
