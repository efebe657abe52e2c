"""A trained model, as most tests of this room take it."""

import pytest


@pytest.fixture(scope='module')
def trained(make_trained):
    return make_trained()
