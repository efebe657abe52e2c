"""What a type checker says, strictly, of a user's ten lines, and of lines that are wrong."""

import re
import subprocess
import sys

from helpers.jobs import PROJECT

USER = """\
import numpy as np
import paul_plugin
from PIL import Image

model = paul_plugin.open_trained('log/x')
descriptors = model.describe(['a.jpg', Image.open('b.jpg'), np.zeros((128, 64, 3), np.uint8)])
length: float = float(np.linalg.norm(descriptors[0]))
paths, stored = paul_plugin.read_descriptors('crops.npz')
for found in paul_plugin.search(model, ['me.jpg'], paul_plugin.read_gallery(model, 'crops.npz'), k=5):
    print(found.query, found.gallery[0], length, stored.shape, paths[0], model.cfg)
print(paul_plugin.read_checkpoint('a.pth').keys())
"""
WRONG = """\
model.describe(7)
paul_plugin.search(model, ['me.jpg'], 'crops')
paths.shape
"""
# torch's own sources, which take most of the time, are none of the lines' business.
SETTINGS = """\
[mypy]
[mypy-torch.*,torchvision.*,torchreid.*]
follow_imports = skip
"""


def test_a_users_file(tmp_path):
    """Only the wrong lines are found: the types are right, and more than Any."""
    file = tmp_path / 'user.py'
    file.write_text(USER + WRONG)
    settings = tmp_path / 'mypy.ini'
    settings.write_text(SETTINGS)
    words = ['--strict', '--follow-imports=silent', '--config-file', settings, '--cache-dir', tmp_path / 'cache', file]
    environment = {'PATH': '/usr/bin:/bin', 'MYPYPATH': str(PROJECT)}
    command = [sys.executable, '-m', 'mypy', *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    first = USER.count('\n') + 1
    found = [int(line) for line in re.findall(r'user\.py:(\d+): error', done.stdout)]
    assert found == [first, first + 1, first + 2], done.stdout + done.stderr


def test_the_package_says_that_it_is_typed():
    assert (PROJECT / 'paul_plugin/py.typed').is_file()
    assert "'paul_plugin': ['py.typed']" in (PROJECT / 'setup.py').read_text()
