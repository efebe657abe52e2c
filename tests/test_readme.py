"""The Python code that the README shows is run, on small images, under each way in which workers can start."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchreid
from helpers.crops import market1501

README = (Path(__file__).parents[1] / 'README.md').read_text()
SNIPPETS = re.findall(r'^```python\n(.*?)^```$', README, re.M | re.S)
MODEL = 'paul_osnet_x0_25'
# What the README says -> what is small enough for a test
SMALL = {
    'height=384, width=128': 'height=64, width=48, workers=1',
    'batch_size_train=40': 'batch_size_train=6',
    "build_model('paul', ": f"build_model('{MODEL}', pretrained=False, ",
    'k=10': 'k=3',
    'max_epoch=60': 'max_epoch=1',
}


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_the_training_in_your_own_code(tmp_path, method):
    (snippet,) = [snippet for snippet in SNIPPETS if 'engine.run(' in snippet]
    for shown, small in SMALL.items():
        assert snippet.count(shown) == 1, shown
        snippet = snippet.replace(shown, small)
    market1501(tmp_path / 'reid-data')
    weights = tmp_path / 'log/paul_market/pretrained.pth.tar'
    weights.parent.mkdir(parents=True)
    model = torchreid.models.build_model(MODEL, num_classes=6, pretrained=False, loss='paul')
    torch.save({'state_dict': model.state_dict()}, weights)
    program = tmp_path / 'program.py'
    # force: a worker that imports the program has a method already
    start = f"import multiprocessing; multiprocessing.set_start_method('{method}', force=True)"
    program.write_text(f'{start}\n{snippet}')
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert 'mAP' in done.stdout
    assert list((tmp_path / 'log/paul').rglob('model.pth.tar-1'))
