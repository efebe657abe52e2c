"""Names of others, and what other errors say, as a message holds them."""

import pytest

from paul_plugin.runtime.errors import printable, reason


@pytest.mark.parametrize('name', ['1.jpg', 'día 1/人.jpg', "o'neill", 'a\\b', ''])
def test_a_printable_name_stays_as_it_is(name):
    assert printable(name) == name


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('a\nerror: b', r"'a\nerror: b'"),
        ('\x1b[2Jgone', r"'\x1b[2Jgone'"),
        ('人\u202egpj.exe', r"'人\u202egpj.exe'"),
        ('caf\udce9.jpg', r"'caf\udce9.jpg'"),  # a byte that is no UTF-8
        ('a\u2028b', r"'a\u2028b'"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name, shown):
    assert printable(name) == shown


@pytest.mark.parametrize(
    ('text', 'limit', 'expected'),
    [
        ('size mismatch:\n\tgot 3', None, 'size mismatch: got 3'),
        ('  a   long  story', 6, 'a long'),
        ('', 5, ''),
    ],
)
def test_a_reason_is_one_line(text, limit, expected):
    assert reason(RuntimeError(text), limit) == expected
