"""What is printed of the keys: a list of all, with what each is and takes, and the values of a config."""

import textwrap

from yacs.config import CfgNode

from ..runtime.errors import UserError, printable, show
from .keys import KEYS, Key, all_keys, set_value, value_of
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


def values_of(cfg: CfgNode) -> str:
    """A config's keys and values in yacs's form, where no value can pass for another line."""
    cfg = cfg.clone()
    for key in all_keys(cfg):
        value = value_of(cfg, key)
        if isinstance(value, str):
            set_value(cfg, key, printable(value))
    return str(cfg)
