"""What other errors say, as a message holds it."""

import pytest

from paul_plugin.runtime.errors import reason


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
