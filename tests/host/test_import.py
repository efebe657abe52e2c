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


def test_a_program_starts_without_torchs_compiler():
    """And has the real one where it needs it: for RoIAlign, for torch.compile, and for any other name."""
    code = """
import sys, torch, paul_plugin
from torchvision.ops import roi_align
assert 'torch._dynamo' not in sys.modules and 'torch._dynamo.utils' not in sys.modules
from paul_plugin.host.compiler import _StandIn
stand_in = sys.modules['torch._dynamo.utils'] = _StandIn('torch._dynamo.utils')
from torch._dynamo import config
assert sys.modules['torch._dynamo.utils'] is torch._dynamo.utils and stand_in is not torch._dynamo.utils
assert stand_in.counters is torch._dynamo.utils.counters
roi_align = sys.modules['torchvision.ops.roi_align']
assert roi_align.is_compile_supported is not torch._dynamo.utils.is_compile_supported
assert roi_align.is_compile_supported('cpu') == torch._dynamo.utils.is_compile_supported('cpu')
assert torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item() == 2
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
