"""Writes settings into a config: values from text, YAML files, the command line."""

import os
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from yacs.config import CfgNode

from ..runtime.errors import UserError, nearest, printable, raise_together, show
from ..runtime.files import is_special
from . import packaged
from .keys import KEYS, all_keys, get_default_config, set_value, value_of
from .rules import or_word

_LARGEST_FILE = 100_000  # bytes of a config file: a second, at the 100 to 400 kB a second that YAML is read at
Setting = tuple[str, str, object]  # where it was set (`FILE: ` or nothing), key, value as read


def unknown_key(key: object, keys: list[str]) -> str:
    """The complaint about a name that is no key."""
    members = [full for full in keys if full.startswith(f'{key}.')]
    if members:
        return f'{key} is a group of keys: set one of them, such as {members[0]}'
    last = str(key).rpartition('.')[2]
    same_end = [full for full in keys if full.rpartition('.')[2] == last]
    # `max_epoch` for `train.max_epoch` is a frequent slip, too unlike the full name for a search by likeness.
    hint = nearest(str(key), same_end) or (nearest(same_end[0], same_end) if len(same_end) == 1 else '')
    hint = hint or nearest(str(key), keys) or ' (--keys lists them)'
    return f'unknown key {show(key)}{hint}'


def _literal(text: str, listed: bool) -> object:
    """The Python value that the text spells, as in yacs, or the text itself."""
    # A shell turns ['a', 'b'] into [a, b], which is YAML.
    readers = (literal_eval, parse) if listed and text.startswith('[') else (literal_eval,)
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


def merge(cfg: CfgNode, settings: Sequence[Setting]) -> list[str]:
    """Writes the settings into the config, in order; returns what is wrong with them, one line each."""
    errors = []
    defaults = get_default_config()
    keys = all_keys(defaults)
    rules = {key.name: key.allowed for key in KEYS}
    targets_are_sources = False
    for where, key, value in settings:
        if key not in keys:
            errors.append(where + unknown_key(key, keys))
            continue
        default = value_of(defaults, key)
        unset = key in _NULLABLE and value in (None, 'None')
        if unset:
            value = [] if key == 'data.transforms' else default
        word = getattr(rules[key], 'word', '')
        try:
            is_word = word and isinstance(value, str) and _literal(value, listed=False) == word
            value = word if is_word else _coerce(value, default)
        except TypeError:
            errors.append(f'{where}{key} = {show(value)}: {_expected(default)}{or_word(rules[key])}')
            continue
        if key == 'data.targets':
            targets_are_sources = unset
        if key == 'data.transforms':
            value = [name.lower() for name in value]  # as torchreid reads them
        if key == 'paul.pretrain.config' and value:
            value = os.path.abspath(packaged.find(value))
        set_value(cfg, key, value)
    if targets_are_sources:
        cfg.data.targets = list(cfg.data.sources)
    return errors


def _flatten(tree: dict, defaults: CfgNode, prefix: str = '') -> Iterator[tuple[object, object]]:
    """Nested keys of a YAML file -> full keys and values. An empty group holds nothing."""
    for name, value in tree.items():
        group = defaults.get(name)
        if isinstance(group, CfgNode) and (value is None or isinstance(value, dict)):
            yield from _flatten(value or {}, group, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


class _Loader(yaml.SafeLoader):
    """YAML as a config has it: no name twice in a group, of which the second would win, and few aliases.

    A list that names itself many times over, level after level, is short as text and fills the memory.
    """

    _MOST_ALIASES = 8  # a dumped config has one where two keys share a list
    _aliases = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > self._MOST_ALIASES:
                raise yaml.composer.ComposerError(None, None, 'too many aliases', self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        names = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in names:
                raise yaml.constructor.ConstructorError(None, None, f'{name} stands twice', key.start_mark)
            names.add(name)
        return super().construct_mapping(node, deep)


def parse(text: str) -> object:
    """A config's YAML text as Python values.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: for a text that is no YAML, is too long, or names a key twice.
    """
    if len(text) > _LARGEST_FILE:
        raise ValueError(f'more than {_LARGEST_FILE} characters')
    return yaml.load(text, _Loader)  # a SafeLoader: plain values only


def read(path: str) -> list[Setting]:
    """The settings of a YAML file, or of a config that comes with the package, by its name.

    Raises:
        UserError: if it cannot be read or is no YAML mapping.
    """
    path = packaged.find(path)
    if is_special(path):
        raise UserError(f'cannot read the config file {printable(path)}: it is a pipe or a device, not a file')
    if os.path.isfile(path) and os.path.getsize(path) > _LARGEST_FILE:
        raise UserError(f'cannot read the config file {printable(path)}: it has more than {_LARGEST_FILE} bytes')
    # Not yacs's own reader: that one runs a `.py` file.
    try:
        tree = parse(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        hint = packaged.hint(path) if isinstance(error, FileNotFoundError) else ''
        raise UserError(f'cannot read the config file {printable(path)}: {error.strerror}{hint}') from None
    except UnicodeDecodeError:
        raise UserError(f'cannot read the config file {printable(path)}: it is not UTF-8 text') from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-99-99
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or str(error).partition('\n')[0]
        raise UserError(f'{printable(path)}{line}: not valid YAML: {problem}') from None
    if tree is None:
        return []
    if not isinstance(tree, dict):
        raise UserError(
            f"{printable(path)}: expected keys and values such as 'model: {{name: resnet50}}', got {show(tree)}"
        )
    settings = []
    for key, value in _flatten(tree, get_default_config()):
        if key == 'paul.pretrain.config' and isinstance(value, str) and not os.path.isfile(value):
            beside = Path(path).parent / value
            value = str(beside) if beside.is_file() else value
        settings.append((f'{printable(path)}: ', key, value))
    return settings


def with_keys(cfg: CfgNode, keys: Mapping[str, object] | Sequence[object]) -> CfgNode:
    """Another config: a copy with other values of some keys, frozen. No other function makes one of one.

    Args:
        cfg: stays as it is.
        keys: full name -> value in the key's own type; or `[KEY, VALUE, ...]`, the values also as text.

    Raises:
        UserError: of such a list, for an unknown key, a key without a value or a value of the wrong type.

    Example:
        >>> with_keys(cfg, {'train.lr': 0.01}).train.lr, with_keys(cfg, ['train.lr', '1e-2']).train.lr
        (0.01, 0.01)
    """
    cfg = cfg.clone()
    cfg.defrost()
    if isinstance(keys, Mapping):
        for key, value in keys.items():
            set_value(cfg, key, value)
    else:
        raise_together(opts_errors(cfg, keys))
    cfg.freeze()
    return cfg


def merge_file(cfg: CfgNode, path: str) -> None:
    """Overrides keys by those of a YAML file.

    Raises:
        UserError: if the file cannot be read, or for an unknown key or a value of the wrong type.
    """
    raise_together(merge(cfg, read(path)))


def opts_errors(cfg: CfgNode, opts: Sequence[object], where: str = '') -> list[str]:
    """Overrides keys by `[KEY, VALUE, ...]`, the values as Python values or as text; returns what is wrong."""
    errors = merge(cfg, [(where, key, value) for key, value in zip(opts[::2], opts[1::2], strict=False)])
    if len(opts) % 2:
        errors.append(f'{where}{show(opts[-1])} is a KEY without a VALUE')
    return errors


def has_gpu() -> bool:
    import torch  # here, as a command line is read, or refused, without it

    return torch.cuda.is_available()
