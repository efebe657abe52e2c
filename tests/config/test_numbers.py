"""Numbers of a command line that are none are refused in plain words."""

import argparse

import pytest

from paul_plugin.commands import command


@pytest.mark.parametrize(
    ('kind', 'text', 'words'),
    [
        (command.at_least(1), '0', 'must be at least 1, got 0'),
        (command.at_least(1), 'x', 'must be a whole number, got x'),
        (command.at_least(1), '1.5', 'must be a whole number, got 1.5'),
        (command.number, 'x', 'must be a number, got x'),
        (command.number, 'inf', 'must be a number, got inf'),
        (command.number, 'a\nerror: b', "must be a number, got 'a\\\\nerror: b'"),
    ],
)
def test_no_number(kind, text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=f'^{words}$'):
        kind(text)


def test_numbers():
    assert (command.at_least(2)('2'), command.number('-0.5')) == (2, -0.5)
