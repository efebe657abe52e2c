"""The import of the package: torchreid's needs, and a second time."""

import importlib
import subprocess
import sys

import torchreid

import paul_plugin


def test_a_missing_tensorboard_is_named():
    code = "import sys; sys.modules['torch.utils.tensorboard'] = None; import paul_plugin"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == 'ImportError: torchreid needs the package tensorboard: pip install tb-nightly'


def test_the_package_can_be_loaded_again():
    assert importlib.reload(paul_plugin) is paul_plugin
    model = torchreid.models.build_model('paul_osnet_x0_25', 1, pretrained=False)
    assert type(model) is paul_plugin.PatchNet
