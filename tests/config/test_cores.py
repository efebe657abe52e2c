"""How many cores there are to use."""

import os

from paul_plugin.config.arguments import cores


def test_the_cores_that_the_system_lets_a_process_use(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {0, 3}, raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert cores() == 2
    monkeypatch.delattr(os, 'sched_getaffinity')  # Windows
    assert cores() == 8
    monkeypatch.setattr(os, 'cpu_count', lambda: None)
    assert cores() == 1
