"""Writes settings into a config: values from text, YAML files, the command line."""

import os
import sys
from ast import literal_eval
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from yacs.config import CfgNode

from .config import all_keys, get_default_config, value_of
from .errors import UserError, nearest, raise_together, show

_LARGEST_FILE = 100_000  # bytes of a config file: a second, at the 100 to 400 kB a second that YAML is read at
Setting = tuple[str, str, object]  # where it was set (`FILE: ` or nothing), key, value as read


def _unknown_key(key: object, keys: list[str]) -> str:
    """The complaint about a name that is no key."""
    members = [full for full in keys if full.startswith(f'{key}.')]
    if members:
        return f'{key} is a group of keys: set one of them, such as {members[0]}'
    last = str(key).rpartition('.')[2]
    same_end = [full for full in keys if full.rpartition('.')[2] == last]
    # `max_epoch` for `train.max_epoch` is a frequent slip, too unlike the full name for a search by likeness.
    hint = nearest(str(key), same_end) or (nearest(same_end[0], same_end) if len(same_end) == 1 else '')
    hint = hint or nearest(str(key), keys) or ' (paul_plugin/config.py lists the keys)'
    return f'unknown key {show(key)}{hint}'


# ---- values from text --------------------------------------------------------------------------------------


def _literal(text: str, listed: bool) -> object:
    """The Python value that the text spells, as in yacs, or the text itself."""
    # A shell turns ['a', 'b'] into [a, b], which is YAML.
    readers = (literal_eval, yaml.safe_load) if listed and text.startswith('[') else (literal_eval,)
    for read in readers:
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, yaml.YAMLError):
            pass
    return text


def _coerce(value: object, default: object) -> object:
    """The value in the type of the default.

    Raises:
        TypeError: if it is of another type.
    """
    literal = _literal(value, isinstance(default, list)) if isinstance(value, str) else value
    if isinstance(default, list):
        items = list(literal) if isinstance(literal, (list, tuple)) else [value]
        return [_coerce(item, default[0]) for item in items] if default else items
    if isinstance(default, str):
        if literal is None and default == '':
            return ''
        if isinstance(value, str):
            return literal if isinstance(literal, str) else value
    elif isinstance(default, bool):
        if isinstance(literal, bool):
            return literal
        if str(value).lower() in ('true', 'false'):
            return str(value).lower() == 'true'
    elif type(literal) is int or type(literal) is type(default):
        try:
            return type(default)(literal)
        except OverflowError:  # an int beyond the floats
            pass
    elif isinstance(default, float) and isinstance(literal, str):
        try:
            return float(literal)  # inf and nan, which check_config refuses with its reason
        except ValueError:
            pass
    raise TypeError


def _expected(default: object) -> str:
    """What a value must be like, for the complaint about another one."""
    if isinstance(default, str):
        return 'expected str: put it in quotes'
    if isinstance(default, list):
        kind = f' of {type(default[0]).__name__}' if default else ''
        return f'expected list{kind}, such as "{default}"'
    return f'expected {type(default).__name__}, such as {default}'


# torchreid takes None here: for no transforms, for ImageNet's statistics (the defaults), for the sources.
_NULLABLE = ('data.transforms', 'data.norm_mean', 'data.norm_std', 'data.targets')


def _merge(cfg: CfgNode, settings: Sequence[Setting]) -> list[str]:
    """Writes the settings into the config, in order; returns what is wrong with them, one line each."""
    errors = []
    defaults = get_default_config()
    keys = all_keys(defaults)
    targets_are_sources = False
    for where, key, value in settings:
        if key not in keys:
            errors.append(where + _unknown_key(key, keys))
            continue
        default = value_of(defaults, key)
        unset = key in _NULLABLE and value in (None, 'None')
        if unset:
            value = [] if key == 'data.transforms' else default
        try:
            value = _coerce(value, default)
        except TypeError:
            errors.append(f'{where}{key} = {show(value)}: {_expected(default)}')
            continue
        if key == 'data.targets':
            targets_are_sources = unset
        if key == 'data.transforms':
            value = [name.lower() for name in value]  # as torchreid reads them
        if key == 'paul.pretrain.config' and value:
            value = os.path.abspath(value)
        group, _, name = key.rpartition('.')
        (value_of(cfg, group) if group else cfg)[name] = value
    if targets_are_sources:
        cfg.data.targets = list(cfg.data.sources)
    return errors


# ---- files -------------------------------------------------------------------------------------------------


def _flatten(tree: dict, defaults: CfgNode, prefix: str = '') -> Iterator[tuple[object, object]]:
    """Nested keys of a YAML file -> full keys and values. An empty group holds nothing."""
    for name, value in tree.items():
        group = defaults.get(name)
        if isinstance(group, CfgNode) and (value is None or isinstance(value, dict)):
            yield from _flatten(value or {}, group, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _read(path: str) -> list[Setting]:
    """The settings of a YAML file.

    Raises:
        UserError: if it cannot be read or is no YAML mapping.
    """
    # Looked at before it is opened: to open a pipe is to wait for its writer, and a device may have no end.
    if os.path.exists(path) and not os.path.isdir(path):
        if not os.path.isfile(path):
            raise UserError(f'cannot read the config file {path}: it is a pipe or a device, not a file')
        if os.path.getsize(path) > _LARGEST_FILE:
            raise UserError(f'cannot read the config file {path}: it has more than {_LARGEST_FILE} bytes')
    # Not yacs's own reader: that one runs a `.py` file.
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        others = [other.name for other in Path(path).parent.glob('*')]
        hint = nearest(Path(path).name, others) if isinstance(error, FileNotFoundError) else ''
        raise UserError(f'cannot read the config file {path}: {error.strerror}{hint}') from None
    except UnicodeDecodeError:
        raise UserError(f'cannot read the config file {path}: it is not UTF-8 text') from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-99-99
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or str(error).partition('\n')[0]
        raise UserError(f'{path}{line}: not valid YAML: {problem}') from None
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected keys and values such as 'model: {{name: resnet50}}', got {show(tree)}")
    settings = []
    for key, value in _flatten(tree, get_default_config()):
        if key == 'paul.pretrain.config' and isinstance(value, str) and not os.path.isfile(value):
            beside = Path(path).parent / value
            value = str(beside) if beside.is_file() else value
        settings.append((f'{path}: ', key, value))
    return settings


def merge_file(cfg: CfgNode, path: str) -> None:
    """Overrides keys by those of a YAML file.

    Raises:
        UserError: if the file cannot be read, or for an unknown key or a value of the wrong type.
    """
    raise_together(_merge(cfg, _read(path)))


def merge_opts(cfg: CfgNode, opts: Sequence[object]) -> None:
    """Overrides keys by `[KEY, VALUE, KEY, VALUE, ...]`, the values as Python values or as text.

    Raises:
        UserError: for an unknown key, a key without a value or a value of the wrong type.
    """
    raise_together(opts_errors(cfg, opts))


def opts_errors(cfg: CfgNode, opts: Sequence[object], where: str = '') -> list[str]:
    errors = _merge(cfg, [(where, key, value) for key, value in zip(opts[::2], opts[1::2], strict=False)])
    if len(opts) % 2:
        errors.append(f'{where}{show(opts[-1])} is a KEY without a VALUE')
    return errors


# ---- the command line --------------------------------------------------------------------------------------

# Option -> the key it sets, or its own name.
_OPTIONS = {
    '--config-file': 'config_file',
    '-s': 'data.sources',
    '--sources': 'data.sources',
    '-t': 'data.targets',
    '--targets': 'data.targets',
    '--transforms': 'data.transforms',
    '--root': 'data.root',
    '-h': 'help',
    '--help': 'help',
}

_HELP = """\
usage: {prog} [options] [KEY VALUE ...]
{description}
options, in any order, before, between or after the KEY VALUE pairs:
  --config-file FILE      YAML file that sets keys
  -s, --sources NAME ...  data sets to train on (data.sources)
  -t, --targets NAME ...  data sets to test on (data.targets)
  --transforms NAME ...   augmentation of training images (data.transforms)
  --root DIR              folder that holds the data sets' folders (data.root)
  -h, --help              print this text

KEY VALUE pairs win over the options, and these over the file. A list is written "['a', 'b']".
The keys, their meanings and defaults: paul_plugin/config.py.

example:
  python {prog} --config-file FILE.yaml -s market1501 -t market1501 dukemtmcreid train.lr 0.001
"""


def starts_pair(word: str, cfg: CfgNode) -> bool:
    """Whether a word after `-t a b` is a KEY, misspelt or not; torchreid takes it for one more name."""
    group, dot, _ = word.partition('.')
    return word == 'use_gpu' or bool(dot and nearest(group, cfg))


def _parse(argv: Sequence[str], cfg: CfgNode) -> tuple[dict[str, list[str]], list[Setting], list[str]]:
    """Command line -> values of the options by what they set, KEY VALUE pairs, errors."""
    keys = all_keys(cfg)
    options, pairs, errors = {}, [], []
    names = None  # where names go: the list of the last option, while it is open
    words = deque(argv)
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
            if target in ('config_file', 'data.root', 'help'):  # one value, even if it looks like a key
                if not equals and words and not words[0].startswith('-') and target != 'help':
                    names.append(words.popleft())
                names = None
        elif names is not None and not starts_pair(word, cfg):
            names.append(word)
        else:
            names = None
            # The value may begin with one dash: -1.
            if not words or words[0] in keys or words[0] in _OPTIONS or words[0].startswith('--'):
                what = f'{word} is a KEY' if word in keys else f'{_unknown_key(word, keys)}, and it is'
                errors.append(f'{what} without a VALUE')
            else:
                pairs.append(('', word, words.popleft()))
    for option, target in _OPTIONS.items():
        if option.startswith('--') and target != 'help' and options.get(target) == []:
            errors.append(f'option {option} needs a value')
    return options, pairs, errors


def has_gpu() -> bool:
    import torch  # slow, and needed for nothing else here

    return torch.cuda.is_available()


def load_config(argv: Sequence[str] | None = None, description: str = '') -> CfgNode:
    """The config that a command line asks for: torchreid's options and KEY VALUE pairs, in any order.

    The defaults are overridden by the config file, that by the options, these by the pairs. `--help` prints
    the usage and exits. The values' ranges are left to `check_config`.

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
        print(_HELP.format(prog=sys.argv[0], description=about), end='')
        raise SystemExit(0)

    settings = []
    for path in filter(None, options.pop('config_file', [])):
        try:
            settings += _read(path)
        except UserError as error:
            errors.append(str(error))
    for key, values in options.items():
        if any(values):  # like torchreid, take an empty value for none
            settings.append(('', key, values[0] if key == 'data.root' else values))
    settings += pairs
    errors += _merge(cfg, settings)
    raise_together(errors)
    if not any(key == 'use_gpu' for _, key, _ in settings):
        cfg.use_gpu = has_gpu()
    return cfg
