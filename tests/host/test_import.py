"""The import of the package: torchreid's needs, what Windows lacks, and a second time."""

import importlib
import subprocess
import sys

import torchreid

import paul_plugin

PROGRAM = """
import os, signal, sys
sys.modules['torch.utils.tensorboard'] = None
try:
    import paul_plugin
except ImportError as error:
    print(error)
del sys.modules['torch.utils.tensorboard']
for name in [name for name in sys.modules if name.partition('.')[0] in ('paul_plugin', 'torchreid')]:
    del sys.modules[name]

import torch.utils.data, torchreid  # these know Windows by themselves
sys.modules['fcntl'] = sys.modules['resource'] = None
for name in ('SIGHUP', 'SIGKILL', 'SIGALRM', 'alarm', 'setitimer', 'pthread_sigmask'): delattr(signal, name)
for name in ('register_at_fork', 'sched_getaffinity', 'O_NOFOLLOW', 'O_NONBLOCK'): delattr(os, name)
import paul_plugin
os.environ.pop('OMP_NUM_THREADS', None)
from paul_plugin.ablation import runs
from paul_plugin.commands import train
from paul_plugin.runtime import stopping
assert runs.cores_of_each(1) >= 1
with stopping.stop_signals(): pass
"""


def test_a_missing_tensorboard_is_named_and_what_windows_lacks_is_not_needed():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'torchreid needs the package tensorboard: pip install tb-nightly\n'


def test_the_package_can_be_loaded_again():
    assert importlib.reload(paul_plugin) is paul_plugin
    model = torchreid.models.build_model('paul_osnet_x0_25', 1, pretrained=False)
    assert type(model) is paul_plugin.PatchNet
