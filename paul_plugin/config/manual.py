"""What is printed of the keys: a list of all, with what each is and takes, and those that a config changes."""

import textwrap

from yacs.config import CfgNode

from ..runtime.errors import UserError, printable, show
from .keys import KEYS, Key, all_keys, get_default_config, value_of
from .rules import or_word

_WIDTH = 100  # characters of a line


def _entry(key: Key) -> str:
    allowed = key.allowed.words if key.allowed else 'True or False' if isinstance(key.default, bool) else ''
    allowed += or_word(key.allowed)
    head = f'{key.name} = {key.default!r}' + (f'  ({allowed})' if allowed else '')
    indent = ' ' * 4
    # A name stays whole, and so does one with a hyphen.
    options = {'width': _WIDTH, 'subsequent_indent': indent, 'break_long_words': False, 'break_on_hyphens': False}
    return '\n'.join([*textwrap.wrap(head, **options), *textwrap.wrap(key.about, initial_indent=indent, **options)])


def list_keys(word: str = '') -> str:
    """The keys whose name or text holds the word, in any case, in the order of the table.

    Raises:
        UserError: if there is none.

    Example:
        >>> print(list_keys('train.lr_'))
        train.lr_scheduler = 'single_step'  (one of single_step, multi_step, cosine)
            how the learning rate changes over the epochs
    """
    found = [key for key in KEYS if word.lower() in f'{key.name}\n{key.about}'.lower()]
    if not found:
        raise UserError(f'no key has {show(word)} in its name or text: --keys alone lists all')
    return '\n'.join(map(_entry, found))


def not_default(cfg: CfgNode) -> str:
    """The keys whose value is not the default, a line each, where no value can pass for another line.

    Example:
        >>> cfg = get_default_config()
        >>> cfg.train.lr = 0.01
        >>> print(not_default(cfg))
          train.lr: 0.01
    """
    defaults = get_default_config()
    values = {key: value_of(cfg, key) for key in all_keys(cfg) if value_of(cfg, key) != value_of(defaults, key)}
    return '\n'.join(f'  {key}: {_in_a_line(value)}' for key, value in values.items())


def _in_a_line(value: object) -> str:
    return printable(value) if value and isinstance(value, str) else repr(value)
