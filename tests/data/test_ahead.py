"""Reading ahead: the same items, one beside the use of another, and an error in the place of its item."""

import threading

import pytest

from paul_plugin.data.ahead import ahead


def test_items_come_in_order_and_an_error_in_its_place():
    def items():
        yield from (0, 1, 2)
        raise ValueError('the fourth')

    reading = ahead(items())
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match='the fourth'):
        next(reading)
    assert list(ahead([])) == []


def test_the_next_one_is_made_while_one_is_used():
    made = threading.Event()

    def items():
        yield 'first'
        made.set()
        yield 'second'

    reading = ahead(items())
    assert next(reading) == 'first'
    assert made.wait(60)
    assert list(reading) == ['second']


def test_who_stops_early_leaves_no_thread():
    reading = ahead(iter(range(9)))
    next(reading)
    reading.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('reads-ahead')]
