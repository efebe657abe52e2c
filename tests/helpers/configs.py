"""Configs of command lines, and what is wrong with them."""

import pytest
from yacs.config import CfgNode

from paul_plugin.commands.run_words import load_config
from paul_plugin.runtime.errors import UserError

PAUL = ['loss.name', 'paul', 'model.name', 'paul', 'data.transforms', 'surrogate_positive']


def loaded(*words: str) -> CfgNode:
    """The config of a command line, without asking for the GPU."""
    return load_config([*words, 'use_gpu', 'False'])


def errors_of(function, *arguments) -> list[str]:
    """The lines of the UserError that a call raises."""
    with pytest.raises(UserError) as caught:
        function(*arguments)
    return str(caught.value).splitlines()
