"""The page of a report: one HTML file that holds numbers, pictures and settings, and loads nothing."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import jinja2
from yacs.config import CfgNode

from ..config.keys import all_keys, get_default_config, value_of
from ..figures.quantities import quantities, titled
from ..runtime.errors import printable
from ..runtime.files import write_atomically
from .embedding import NumberTable, Picture, embed

_NOT_ASKED_FOR = ('use_gpu', 'model.resume')  # where a run went on, not what it computes


def write_report(
    path: str | Path,
    title: str,
    facts: Sequence[tuple[str, object]],
    config: CfgNode | None,
    results: dict[str, dict[str, dict[str, float]]],
    history: list[dict[str, float]],
    pictures: Sequence[Picture],
    verdict: str = '',
) -> None:
    """Writes the page. All text is escaped, images are embedded, and the browser is told to load nothing.

    An image is shown at the size that its `info['dpi']` gives it (96 to an inch if it has none). Where the window is
    smaller, a desk shows it smaller, a phone moves it sideways in its own box, as its words could not be read; a
    checkbox does the other.

    Args:
        path: the HTML file.
        title: its heading.
        facts: names and values below it.
        config: the configuration of the run, if it is known.
        results: stage -> data set -> name -> fraction, as `read_run` gives them.
        history: the epochs, the same.
        pictures: what is shown of each.
        verdict: what stands first on the page, if anything.

    Raises:
        OSError: if the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template('page.html').render(
        title=title,
        verdict=verdict,
        facts=facts,
        tables=_result_tables(results),
        epochs=_epoch_table(history),
        pictures=embed(pictures),
        config=config and config.dump(),
        changed=[(key, _text(value), _text(default)) for key, value, default in _changed(config)],
        command=_command(config),
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, Path(path))


def _result_tables(results: dict[str, dict[str, dict[str, float]]]) -> list[NumberTable]:
    """A table for each data set, in per cent: the stages, and what changed to the model that the run keeps."""
    tables = []
    for dataset in dict.fromkeys(name for tests in results.values() for name in tests):
        stages = {stage: tests[dataset] for stage, tests in results.items() if dataset in tests}
        columns = list(dict.fromkeys(name for test in stages.values() for name in test))
        rows = [
            (
                printable(stage.replace('_', ' ')),
                [f'{100 * test[name]:.1f}' if name in test else '' for name in columns],
            )
            for stage, test in stages.items()
        ]
        before, after = stages.get('direct_transfer'), stages.get('kept', stages.get('adapted'))
        if before and after:
            both = before.keys() & after.keys()
            change = [f'{100 * (after[name] - before[name]):+.1f}' if name in both else '' for name in columns]
            rows.append(('change', change))
        caption = f'{printable(dataset)}, per cent' if dataset else 'per cent'
        tables.append(NumberTable(caption, ['', *(printable(name.replace('rank', 'Rank-')) for name in columns)], rows))
    return tables


def _epoch_table(history: list[dict[str, float]]) -> NumberTable | None:
    if not history:
        return None
    names = quantities(history)
    rows = [
        (f'{entry["epoch"]:g}', [f'{titled(name)[1] * entry[name]:.4g}' if name in entry else '' for name in names])
        for entry in history
    ]
    return NumberTable('means over the steps of each epoch', ['epoch', *(titled(name)[0] for name in names)], rows)


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
    return ' \\\n  '.join(['paul train', *pairs])


def _quote(text: str) -> str:
    """A word for the shell; where that is safe, lists as "['a']", which shlex would fill with quotes of its own."""
    return f'"{text}"' if "'" in text and not set(text) & set('"$`\\!') else shlex.quote(text)
