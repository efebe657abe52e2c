"""A small run, opened, and the images that its test looks for."""

import pytest

from paul_plugin.report.gallery import Pictures
from paul_plugin.run.trained import open_trained


@pytest.fixture(scope='session')
def trained(embedded_run):
    return open_trained(embedded_run)


@pytest.fixture(scope='session')
def small(trained):
    """Draws small pictures; the data are read once."""
    return Pictures(trained, pixels=60)


@pytest.fixture(scope='session')
def queries(rendered):
    return [str(path) for path in sorted(rendered.glob('synthetic_target/*/query/*.jpg'))]
