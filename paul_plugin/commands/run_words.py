"""The words of a run's command line: torchreid's options and KEY VALUE pairs, in any order."""

import sys
import textwrap
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence
from typing import NamedTuple

from yacs.config import CfgNode

from ..config import packaged
from ..config.keys import all_keys, get_default_config
from ..config.manual import list_keys
from ..config.settings import Setting, has_gpu, merge, read, unknown_key, with_keys
from ..runtime.errors import UserError, nearest, raise_together, show
from .command import called

# Option -> the key it sets, or its own name.
_OPTIONS = {
    '--config-file': 'config_file',
    '-s': 'data.sources',
    '--sources': 'data.sources',
    '-t': 'data.targets',
    '--targets': 'data.targets',
    '--transforms': 'data.transforms',
    '--root': 'data.root',
    '--keys': 'keys',
    '--dry-run': 'dry_run',
    '-h': 'help',
    '--help': 'help',
}
_WITHOUT_KEY = ('keys', 'dry_run', 'help')  # what the other options are for; of these the first alone takes a value
_HELP = """\
usage: {prog} [CONFIG] [options] [KEY VALUE ...]
{description}
CONFIG is a YAML file that sets keys, or one that comes with the package, by its name:
  {configs}

options, in any order, before, between or after the KEY VALUE pairs:
  --config-file CONFIG    the same as CONFIG
  -s, --sources NAME ...  data sets to train on (data.sources)
  -t, --targets NAME ...  data sets to test on (data.targets)
  --transforms NAME ...   augmentation of training images (data.transforms)
  --root DIR              folder that holds the data sets' folders (data.root)
  --keys [WORD]           print the keys, those with WORD in their name or meaning
  --dry-run               check all, count the images, show the stages, write nothing
  -h, --help              print this text

KEY VALUE pairs win over the options, and these over the file. A list is written "['a', 'b']".
The keys, their meanings and defaults: --keys.

example:
  {prog} paul_synthetic
  {prog} paul_market -t market1501 dukemtmcreid --root DIR train.lr 0.001
"""


def starts_pair(word: str, cfg: CfgNode) -> bool:
    """Whether a word after `-t a b` is a KEY, misspelt or not; torchreid takes it for one more name."""
    group, dot, _ = word.partition('.')
    return word == 'use_gpu' or bool(dot and nearest(group, cfg))


class Asked(NamedTuple):
    """What a command line asks for.

    Attributes:
        cfg: the config of its settings.
        settings: in the order in which they were set.
        dry_run: only to be shown what would be done.
    """

    cfg: CfgNode
    settings: list[Setting]
    dry_run: bool


def _is_config(words: Sequence[str], cfg: CfgNode, keys: Sequence[str]) -> bool:
    """Whether the first of the words names a config, misspelt or not, rather than a key or an option."""
    word, *others = words or ['-']
    if word.startswith('-') or word in keys:
        return False
    if packaged.is_known(word) or word.endswith(packaged.SUFFIXES):
        return True
    ends = {part for key in keys for part in key.split('.')}  # `max_epoch` for `train.max_epoch` is a frequent slip
    if starts_pair(word, cfg) or word in ends or nearest(word, ['use_gpu']):
        return False
    return not others or others[0].startswith('-') or starts_pair(others[0], cfg)  # else it is a key, with its value


def _parse(argv: Sequence[str], cfg: CfgNode) -> tuple[dict[str, list[str]], list[Setting], list[str]]:
    """Command line -> values of the options by what they set, KEY VALUE pairs, errors."""
    keys = all_keys(cfg)
    options, pairs, errors = {}, [], []
    names = None  # where names go: the list of the last option, while it is open
    words = deque(argv)
    first = words.popleft() if _is_config(argv, cfg, keys) else ''
    while words:
        word = words.popleft()
        if word.startswith('-'):
            option, equals, value = word.partition('=')
            # Like argparse, take a long option's beginning if it is the beginning of one only.
            found = [name for name in _OPTIONS if option[:2] == '--' and name.startswith(option)]
            option = found[0] if len(found) == 1 else option
            if option not in _OPTIONS:
                errors.append(f'unknown option {show(option)}{nearest(option, _OPTIONS)}; see --help')
                names = []  # not reported again, one by one
                continue
            target = _OPTIONS[option]
            names = options[target] = [value] if equals else []
            if target in ('config_file', 'data.root', *_WITHOUT_KEY):  # one value, even if it looks like a key
                if not equals and words and not words[0].startswith('-') and target not in ('help', 'dry_run'):
                    names.append(words.popleft())
                names = None
        elif names is not None and not starts_pair(word, cfg):
            names.append(word)
        else:
            names = None
            # The value may begin with one dash: -1.
            if not words or words[0] in keys or words[0] in _OPTIONS or words[0].startswith('--'):
                what = f'{word} is a KEY' if word in keys else f'{unknown_key(word, keys)}, and it is'
                errors.append(f'{what} without a VALUE')
            else:
                pairs.append(('', word, words.popleft()))
    for option, target in _OPTIONS.items():
        if option.startswith('--') and target not in _WITHOUT_KEY and options.get(target) == []:
            errors.append(f'option {option} needs a value')
    if first and options.get('config_file'):
        errors.append(f'two configs, {show(first)} and {show(options["config_file"][0])}: name one')
    elif first:
        options['config_file'] = [first]
    return options, pairs, errors


def _named_with(key: str, settings: Sequence[Setting]) -> set[str]:
    """The keys that are set on the command line, or where `key` is set."""
    where = next((where for where, other, _ in reversed(settings) if other == key), '')
    return {other for place, other, _ in settings if place in ('', where)}


def parse(argv: Sequence[str] | None = None, description: str = '') -> Asked:
    """What a command line asks for, read without torch; `--help` prints the usage and `--keys` the keys, and both exit.

    Args:
        argv: the words, by default those of the running program.
        description: what the program does, for `--help`.

    Raises:
        UserError: for everything that is wrong with the command line and the config file, one line each.
    """
    cfg = get_default_config()
    options, pairs, errors = _parse(sys.argv[1:] if argv is None else argv, cfg)
    if 'help' in options:
        about = f'\n{description}\n' if description else ''
        configs = '\n  '.join(textwrap.wrap(', '.join(packaged.names()), 98))
        print(_HELP.format(prog=called(), description=about, configs=configs), end='')
        raise SystemExit(0)
    if 'keys' in options:
        print(list_keys(*options['keys']))
        raise SystemExit(0)

    dry_run = options.pop('dry_run', None) is not None
    settings = []
    for path in filter(None, options.pop('config_file', [])):
        try:
            settings += read(path)
        except UserError as error:
            errors.append(str(error))
    for key, values in options.items():
        if any(values):  # like torchreid, take an empty value for none
            settings.append(('', key, values[0] if key == 'data.root' else values))
    settings += pairs
    errors += merge(cfg, settings)
    raise_together(errors)
    cfg.freeze()
    return Asked(cfg, settings, dry_run)


Complete = Callable[[CfgNode, Container[str]], Mapping[str, object]]


def finish(asked: Asked, complete: Complete | None = None) -> CfgNode:
    """The config that is asked for, with what the machine and a file of weights tell.

    Args:
        asked: the command line.
        complete: (the config, keys that must stay) -> others by the file `model.load_weights`: a config file's model
            and image size are for the weights that it names itself.

    Raises:
        UserError: whatever `complete` raises.
    """
    is_named = any(key == 'use_gpu' for _, key, _ in asked.settings)
    cfg = asked.cfg if is_named else with_keys(asked.cfg, {'use_gpu': has_gpu()})
    if complete is None:
        return cfg
    return with_keys(cfg, complete(cfg, _named_with('model.load_weights', asked.settings)))


def load_config(argv: Sequence[str] | None = None, description: str = '') -> CfgNode:
    """The config that a command line asks for: torchreid's options and KEY VALUE pairs, in any order.

    The defaults are overridden by the config file, that by the options, these by the pairs. The values' ranges are
    left to `check_config`. The arguments are those of `parse` and `finish`.

    Raises:
        UserError: for everything that is wrong with the command line and the config file, one line each.
    """
    return finish(parse(argv, description))
