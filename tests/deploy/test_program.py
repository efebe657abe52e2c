"""A user's program that describes and searches: without a main guard, whatever starts processes, twice in one."""

import subprocess
import sys

import pytest

from paul_plugin.deploy.extraction import extract

PROGRAM = """\
import multiprocessing
multiprocessing.set_start_method('{method}', force=True)
import paul_plugin

for _ in range(2):
    model = paul_plugin.open_trained('{weights}', opts=('data.workers', 2))
    print(model.describe(['{query}', '{query}']).shape)
    found = paul_plugin.search(model, ['{query}'], paul_plugin.read_gallery(model, '{gallery}'), k=3)
    print(found[0].gallery[0])
"""


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_it_runs(make_trained, rendered, tmp_path, method):
    trained = make_trained()
    query = min(rendered.glob('synthetic_target/*/query/*.jpg'))
    found = extract(trained, query.parent, tmp_path / 'a.npz').path
    names = {'weights': trained.path, 'query': query, 'gallery': found, 'method': method}
    (tmp_path / 'program.py').write_text(PROGRAM.format(**names))
    done = subprocess.run([sys.executable, tmp_path / 'program.py'], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[:2] == lines[2:]
    assert lines[0] == '(2, 96)'
    assert lines[1].startswith(str(query.parent))
    assert lines[1] != str(query)
