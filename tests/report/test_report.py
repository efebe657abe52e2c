"""The report's page: what a run left is read and written, and broken files are survived."""

import base64
import io
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.records import AFTER, BEFORE, RESULTS, history_of_paul
from PIL import Image
from torchreid import models

from paul_plugin.commands import run_words
from paul_plugin.config import settings
from paul_plugin.config.keys import get_default_config
from paul_plugin.report.curves import curves_of
from paul_plugin.report.embedding import NumberTable, Picture
from paul_plugin.report.page import _command, write_report
from paul_plugin.report.summary import make_report
from paul_plugin.run.record import read_run
from paul_plugin.run.trained import open_trained
from paul_plugin.runtime.errors import UserError

# ---- the folder of a run ---------------------------------------------------------------------------------------------


def test_reads_a_run(make_run):
    run = read_run(make_run(history=history_of_paul(), results=RESULTS))
    assert run.history == history_of_paul()
    assert run.results == {'direct_transfer': {'': BEFORE}, 'adapted': {'': AFTER}}


def test_reads_several_targets(make_run):
    results = {'direct_transfer': {'viper': BEFORE, 'grid': AFTER}, 'adapted': {'viper': AFTER, 'grid': BEFORE}}
    assert read_run(make_run(results=results)).results == results


BROKEN = [
    '', '[', 'null', '3', '{}', '[1, null, "a", []]', '[{"loss": 1}]', '[{"epoch": "1"}]', '[{"epoch": NaN}]',
    '{"adapted": 3}', '{"adapted": {"mAP": "high"}}', '{"adapted": {"mAP": NaN}}', '{"adapted": [{"mAP": 1}]}',
    '[' * 10**5,
]  # fmt: skip


@pytest.mark.parametrize('text', BROKEN, ids=lambda text: text[:30])
def test_broken_files_give_nothing(make_run, text):
    folder = make_run(history=text, results=text)
    assert read_run(folder) == ([], {})
    with pytest.raises(UserError, match='no epoch in .*history.json: name the folder') as error:
        curves_of([folder])
    assert '\n' not in str(error.value)


def test_what_is_whole_is_shown_beside_what_is_broken(make_run, capsys):
    history = [{'epoch': 1, 'loss': 2.5, 'lr': 'fast', 'mined': None, 'done': True}, {'epoch': 2, 'loss': float('nan')}]
    run = read_run(make_run(history=history, results='{"direct_transfer": '))
    assert run == ([{'epoch': 1, 'loss': 2.5}, {'epoch': 2}], {})
    out = capsys.readouterr().out
    assert out.startswith('warning: ')
    assert 'results.json is passed over' in out
    assert out.count('\n') == 1


ODD = {
    'an epoch of 400 digits': ({'epoch': 10**400}, {'epoch': 1, 'loss': 1.0}),
    'a loss of 400 digits': ({'epoch': 1, 'loss': 10**400, 'lr': 0.1},),
    'hardly numbers': ({'epoch': 1e299, 'loss': 1e299, 'mAP': -1e299}, {'epoch': -3, 'loss': -1e299}),
    'no rates': ({'epoch': 1, 'lr': 1e-320}, {'epoch': 2, 'lr': 1e299}),
    'a formula': ({'epoch': 1, r'$\frac$': 1.0, r'\$\frac$': 1.0, '_^{': 2, '': 3},),
    'half a letter': ({'epoch': 1, '\ud800': 1.0},),
    'no entries': (7, 'epoch', None, [1], {'epoch': 1, 'loss': [1]}),
}


@pytest.mark.filterwarnings('ignore')  # a font without a glyph
@pytest.mark.parametrize('history', ODD.values(), ids=list(ODD))
def test_odd_histories_are_drawn_and_reported(history, make_run, tmp_path):
    folder = make_run(history=list(history), results={'\ud800': {'\x1b[2J': {'mAP': 0.5, 'rank1': 10**400}}})
    assert curves_of([folder]).width == pytest.approx(1400, abs=5)
    run = read_run(folder)
    write_report(tmp_path / 'report.html', 'odd', [], None, run.results, run.history, [])
    assert '<table' in (tmp_path / 'report.html').read_text(encoding='utf-8')


def test_a_checkpoint_that_tells_nonsense_of_itself_is_reported(make_trained, tmp_path):
    trained = make_trained()
    trained.checkpoint.update(epoch=10**5000, software={'torch': 10**5000, 'a\nb': '1'}, history={'epoch': 1})
    page = make_report(trained, tmp_path / 'report.html', []).read_text(encoding='utf-8')
    assert '000000' not in page
    assert r'a\nb 1' in page


# ---- the page --------------------------------------------------------------------------------------------------------


EMPTY = {'meta', 'img', 'input'}  # elements that have no end


class Page(HTMLParser):
    """A page, refused unless every element is closed in its turn and nothing is loaded from elsewhere."""

    def __init__(self, path):
        super().__init__()
        self.open, self.images, self.ids, self.links, self.words, self.rows = [], [], set(), set(), [], []
        self.source = Path(path).read_text()
        assert self.source.startswith('<!doctype html>')
        self.feed(self.source)
        self.close()
        assert not self.open
        assert self.links == {f'#{name}' for name in self.ids}
        self.text = ' '.join(' '.join(self.words).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert tag not in ('script', 'link', 'iframe', 'object')
        assert not any(name.startswith('on') or name in ('srcset', 'style', 'action') for name in attributes)
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag == 'img':
            kind, _, content = attributes['src'].partition(';base64,')
            image = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
            assert kind == f'data:image/{image.format.lower()}'
            assert attributes['alt']
            self.images.append((image, int(attributes['width'])))
        elif 'src' in attributes:
            raise AssertionError(f'{tag} loads {attributes["src"]}')
        if 'href' in attributes:
            self.links.add(attributes['href'])
        if 'id' in attributes:
            assert attributes['id'] not in self.ids
            self.ids.add(attributes['id'])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ['style']:
            assert 'url(' not in data
            assert '@import' not in data
            return
        self.words.append(data)
        if self.open[-1:] in (['td'], ['th']):
            self.rows[-1][-1] += data


def settings_with(*words):
    return settings.with_keys(get_default_config(), words)


@pytest.fixture
def make_trained(make_run):
    """Makes the folder of a run with a checkpoint, and opens it."""

    def make(*words, files=None, **extra):
        cfg = settings_with('model.name', 'paul_osnet_x0_25', 'paul.feature_dim', 16, 'data.height', 96, *words)
        folder = make_run('log/run', **(files or {}))
        (folder / 'model').mkdir()
        net = models.build_model('paul_osnet_x0_25', num_classes=1, loss='paul', pretrained=False, dim=16)
        checkpoint = {'state_dict': net.state_dict(), 'epoch': 4, 'config': cfg.dump(), **extra}
        torch.save(checkpoint, folder / 'model/model.pth.tar-4')
        return open_trained(folder)

    return make


def picture(width=300, height=100):
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_report_of_a_run(make_trained, make_run, tmp_path):
    files = {'history': history_of_paul(), 'results': RESULTS}
    trained = make_trained(
        'loss.name', 'paul', 'data.transforms', ['surrogate_positive'], 'data.sources', ['viper', 'grid'],
        'data.save_dir', 'log/<script>alert("1")</script>',
        files=files, software={'torch': '2.15', 'torchreid': '0.2.5'},
    )  # fmt: skip
    make_run('log/run/pretrain', history=[{'epoch': 1, 'lr': 0.1, 'loss': 3.0, 'acc': 5.0}])
    (trained.run / 'train.log-2026-01-31-19-34-22').touch()
    own = picture()
    table = NumberTable('cap <i>', ['', 'x'], [('row', ['7'])])
    shown = Picture('Patches <b>', 'Where & why (section 3.1).', own, table)
    out = make_report(trained, tmp_path / 'new/report.html', [shown])
    page = Page(out)
    assert [len(page.images), page.images[2][1]] == [3, 300]
    assert page.images[0][1] == pytest.approx(700, abs=3)  # the curves are drawn twice as fine as they are shown
    assert np.array_equal(page.images[2][0].convert('RGB'), own)  # without loss
    assert ['direct transfer', '31.4', '50.0', '75.0', '87.5'] in page.rows
    assert ['adapted', '40.0', '43.8', '75.0', '100.0'] in page.rows
    assert ['change', '+8.6', '-6.2', '+0.0', '+12.5'] in page.rows
    assert ['2', '40', '43.75', '1.5', '0.7', '0.1', '97', '0.06', '5e-05'] in page.rows
    assert ['row', '7'] in page.rows
    assert ['data.save_dir', 'log/<script>alert("1")</script>', 'log'] in page.rows
    for words in (
        'paul_osnet_x0_25 adapted to viper, grid without labels', 'torch 2.15, torchreid 0.2.5', '2026-01-31 19:34',
        'Patches <b>', 'Where & why (section 3.1).', 'Pre-training', '2 x PEDAL (section 3.2)', 'personal data',
        trained.cfg.dump().split('\n')[0],
    ):  # fmt: skip
        assert words in page.text
    assert not list(out.parent.glob('.*'))


def test_the_command_gives_the_configuration_again(tmp_path):
    cfg = settings_with(
        'data.sources', ['viper', 'grid'], 'data.save_dir', "a b'`\\!",
        'data.root', "it's $HOME", 'model.load_weights', '$(ls)',
        'train.stepsize', [9, 12], 'paul.pretrain.opts', ['train.max_epoch', 1, 'model.pretrained', False],
        'paul.supervised.schedule.heads', [[0, 1e-05], [12, 0.5]], 'data.transforms', [], 'train.lr', 1e-05,
    )  # fmt: skip
    command = _command(cfg)
    shell = command.replace('paul train', "printf '%s\\0'")
    words = subprocess.run(['sh', '-c', shell], capture_output=True, text=True, check=True).stdout.split('\0')
    assert run_words.load_config([*words[:-1], 'use_gpu', str(cfg.use_gpu)]) == cfg
    write_report(tmp_path / 'report.html', 'title', [], cfg, {}, [], [])
    assert ' '.join(command.split()) in Page(tmp_path / 'report.html').text


def test_report_of_several_targets(tmp_path):
    kept = {'viper': AFTER | {'mAP': 0.41}}
    results = {'direct_transfer': {'viper': BEFORE, 'grid': AFTER}, 'adapted': {'viper': AFTER}, 'kept': kept}
    write_report(tmp_path / 'report.html', 'title', [], None, results, [], [])
    page = Page(tmp_path / 'report.html')
    assert page.text.index('viper, per cent') < page.text.index('change') < page.text.index('grid, per cent')
    assert page.rows.count(['direct transfer', '40.0', '43.8', '75.0', '100.0']) == 1
    assert ['change', '+9.6', '-6.2', '+0.0', '+12.5'] in page.rows  # to the model that the run keeps


def test_report_without_tests_labels_or_folder(make_trained, tmp_path):
    """What a checkpoint tells by itself: its history and configuration; a supervised run's last test."""
    trained = make_trained('data.sources', 'viper', history=history_of_paul(eval_freq=0))
    moved = trained._replace(run=None)
    page = Page(make_report(moved, tmp_path / 'report.html', []))
    assert len(page.images) == 1
    assert 'trained on viper' in page.text
    assert 'No test was made' in page.text
    assert 'dashed line' not in page.text
    tested = moved._replace(checkpoint=trained.checkpoint | {'history': history_of_paul()})
    assert ['epoch 4', '40.0', '43.8'] in Page(make_report(tested, tmp_path / 'report.html', [])).rows
    bare = moved._replace(checkpoint={'state_dict': trained.checkpoint['state_dict']})
    page = Page(make_report(bare, tmp_path / 'report.html', []))
    assert not page.images
    assert 'does not hold the configuration' in page.text
    assert 'paul_osnet_x0_25: model.pth.tar-4' in page.text


def test_large_pictures_leave_the_page_below_five_megabytes(tmp_path):
    noise = Picture('Large', 'No format makes it small without loss.', picture(800, 700))
    pictures = [Picture('Small', 'Kept as it is.', picture(20, 20)), noise, noise, noise]
    write_report(tmp_path / 'report.html', 'title', [], None, {}, [], pictures)
    assert (tmp_path / 'report.html').stat().st_size < 5_000_000
    formats = [image.format for image, _ in Page(tmp_path / 'report.html').images]
    assert 'JPEG' in formats[1:]
    assert formats[0] != 'JPEG'
