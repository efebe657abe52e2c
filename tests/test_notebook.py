"""The notebook: each cell runs, in its order, and shows what it says; its own pictures are those of rendered people."""

import base64
import io
import json

import pytest
from helpers.jobs import PROJECT
from PIL import Image

CELLS = json.loads((PROJECT / '.docs/tour.ipynb').read_text())['cells']
CODE = [(''.join(cell['source']), cell['outputs']) for cell in CELLS if cell['cell_type'] == 'code']


def shown(source: str) -> str:
    """The variable that a cell shows: its last line, if that is a name."""
    last = source.splitlines()[-1]
    return last if last.isidentifier() else ''


def test_every_cell_runs(capsys):
    space = {}
    for source, _ in CODE:
        exec(compile(source, 'tour.ipynb', 'exec'), space)
    for name in filter(None, (shown(source) for source, _ in CODE)):
        assert min(space[name].size) > 100, name
    assert space['cosines'].diagonal() == pytest.approx(1, abs=1e-5)
    assert 'mAP' in capsys.readouterr().out


def test_it_holds_the_pictures_that_it_shows():
    """And no other output, which could name a machine's folders."""
    for source, outputs in CODE:
        assert [[*output['data']] for output in outputs] == [['image/jpeg']] * bool(shown(source))
        for output in outputs:
            with Image.open(io.BytesIO(base64.b64decode(output['data']['image/jpeg']))) as image:
                image.load()
