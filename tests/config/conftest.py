"""What the tests of the config share."""

import pytest


@pytest.fixture
def write(tmp_path):
    """write(text, name) -> path of a new config file."""

    def write(text: str, name: str = 'run.yaml') -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return write
