"""The Python code of the README and its pages is run, on small images."""

import multiprocessing
import re
import shutil
from pathlib import Path

import pytest
import torch
import torchreid
from helpers.crops import market1501
from helpers.jobs import PROJECT

from paul_plugin.deploy.extraction import extract
from paul_plugin.run.trained import open_trained

README, *PAGES = PROJECT / 'README.md', *sorted(PROJECT.glob('.docs/*.md'))
TEXT = '\n'.join(path.read_text() for path in (README, *PAGES))
SNIPPETS = re.findall(r'^```python\n(.*?)^```$', TEXT, re.M | re.S)
MODEL = 'paul_osnet_x0_25'
# What the pages say -> what is small enough for a test
SMALL = {
    'height=384, width=128': 'height=48, width=48, workers=1',
    'batch_size_train=40': 'batch_size_train=6',
    "build_model('paul', ": f"build_model('{MODEL}', pretrained=False, ",
    'k=10': 'k=3',
    'max_epoch=60': 'max_epoch=1',
}


def test_every_snippet_is_run():
    used = [[word for word in ('describe(', 'search(', 'engine.run(') if word in snippet] for snippet in SNIPPETS]
    assert used == [['describe('], ['search('], ['engine.run(']]


@pytest.mark.parametrize('page', [README, *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """To a file of the project, and to a heading in it, as GitHub names headings."""
    links = re.findall(r'\]\(([^)\s]+)\)|<img src="([^"]+)"', page.read_text())
    own = [link for pair in links for link in pair if link and not link.startswith('https:')]
    assert own
    for link in own:
        name, _, place = link.partition('#')
        target = page.parent / name if name else page
        assert target.is_file(), link
        headings = re.findall(r'^#+ (.+)$', target.read_text(), re.M) if place else []
        known = {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}
        assert not place or place in known, link


def test_describe_and_search(embedded_run, tmp_path, monkeypatch, capsys):
    """One after the other, twice, as in a program without a main guard: no process is started."""
    shutil.copytree(embedded_run, tmp_path / 'log/paul_folder')
    query = sorted(open_trained(embedded_run).datamanager().test_loader['synthetic_target']['query'].dataset.data)[0][0]
    for name in ('a.jpg', 'b.jpg', 'me.jpg'):
        shutil.copy(query, tmp_path / name)
    extract(open_trained(embedded_run), Path(query).parent, tmp_path / 'descriptors.npz')
    describe, search = SNIPPETS[:2]
    text = f'{describe}print(descriptors.shape, descriptors.dtype)\n{search}'
    opened = "open_trained('log/paul_folder'"
    assert text.count(opened) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, 'start', None)
    capsys.readouterr()
    exec(2 * text.replace(opened, f"{opened}, opts=('data.workers', 1)"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert lines[0] == '(2, 1536) float32'
    found = [line.split() for line in lines[1:11]]
    distances = [float(distance) for _, distance, _ in found]
    assert found[0][0] == query  # me.jpg is a copy of it
    assert distances[0] == pytest.approx(0, abs=1e-4)
    assert distances == sorted(distances)
    assert [known for *_, known in found] == ['known' if distance <= 0.3 else 'unknown' for distance in distances]


@pytest.fixture
def fork_server():
    """Workers are those of a fork server, which newer Pythons take by themselves."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method('forkserver', force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_the_training_in_your_own_code(fork_server, tmp_path, monkeypatch, capsys):
    (snippet,) = [snippet for snippet in SNIPPETS if 'engine.run(' in snippet]
    for shown, small in SMALL.items():
        assert snippet.count(shown) == 1, shown
        snippet = snippet.replace(shown, small)
    market1501(tmp_path / 'reid-data')
    weights = tmp_path / 'log/paul_market/pretrained.pth.tar'
    weights.parent.mkdir(parents=True)
    model = torchreid.models.build_model(MODEL, num_classes=6, pretrained=False, loss='paul')
    torch.save({'state_dict': model.state_dict()}, weights)
    monkeypatch.chdir(tmp_path)
    exec(snippet, {'__name__': '__main__'})
    assert 'mAP' in capsys.readouterr().out
    assert list((tmp_path / 'log/paul').rglob('model.pth.tar-1'))
