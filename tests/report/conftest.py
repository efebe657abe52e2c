"""A small run, opened, and the images that its test looks for."""

import json

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


@pytest.fixture
def make_run(tmp_path):
    """Makes the folder of a run: a value is written as JSON, text as it is."""

    def make(name='run', **files):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for stem, value in files.items():
            (folder / f'{stem}.json').write_text(value if isinstance(value, str) else json.dumps(value))
        return folder

    return make
