"""Published weights, fetched from a server of this test: once, whole or not at all, and refused in one line."""

import contextlib
import io
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from paul_plugin.checkpoints import published
from paul_plugin.checkpoints.published import PUBLISHED, Published
from paul_plugin.commands import run_words, train
from paul_plugin.config.settings import with_keys
from paul_plugin.run import stages
from paul_plugin.runtime import stopping
from paul_plugin.runtime.errors import UserError

PAGE = b'<!DOCTYPE html><html><body>Too many users have downloaded this file recently.</body></html>'


def weight_file() -> bytes:
    """A small checkpoint."""
    file = io.BytesIO()
    torch.save({'state_dict': {'backbone.conv1.weight': torch.arange(1000.0)}}, file)
    return file.getvalue()


WHOLE = weight_file()


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's table: path -> (status, what is sent, the length that is told)."""

    def do_GET(self):
        self.server.requests.append(self.path)
        status, body, length = self.server.answers[self.path]
        self.send_response(status)
        if length is not None:
            self.send_header('Content-Length', str(length))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who fetches may leave
            self.wfile.write(body)
            while self.path == '/endless' and not self.server.end.wait(0.01):
                self.wfile.write(bytes(100_000))
        if self.path == '/stalls':
            self.server.end.wait()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on this machine, whose answers the test sets; `requests` are the paths that were asked for."""
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.requests = []
    server.end = threading.Event()
    server.answers = {
        '/whole': (200, WHOLE, len(WHOLE)),
        '/broken': (200, WHOLE[: len(WHOLE) // 2], len(WHOLE)),
        '/cut': (200, WHOLE[: len(WHOLE) // 2], None),
        '/empty': (200, b'', 0),
        '/page': (200, PAGE, len(PAGE)),
        '/none': (404, PAGE, len(PAGE)),
        '/stalls': (200, WHOLE[: len(WHOLE) // 2], len(WHOLE)),
        '/endless': (200, WHOLE, None),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    yield server
    server.end.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The folder of torch's cache for weights, an empty one of this test."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path / 'hub/checkpoints'


@pytest.fixture
def publish(monkeypatch, server, cache):
    """Puts an entry into the table: a path of the server under the name `weights`."""

    def publish(path='/whole'):
        host, port = server.server_address
        entry = Published(f'http://{host}:{port}{path}', 'weights of this test')
        monkeypatch.setitem(PUBLISHED, 'weights', entry)
        return entry

    return publish


def test_fetched_once(publish, server, cache, capsys):
    publish()
    for _ in range(2):
        assert published.fetch('weights') == cache / 'weights.pth'
        assert (cache / 'weights.pth').read_bytes() == WHOLE
        assert [file.name for file in cache.iterdir()] == ['weights.pth']
    assert server.requests == ['/whole']
    assert str(cache / 'weights.pth') in capsys.readouterr().err  # the progress names the file, not a temporary one


def test_a_file_put_there_by_hand_is_taken(publish, server, cache):
    publish()
    cache.mkdir(parents=True)
    (cache / 'weights.pth').write_bytes(WHOLE)
    assert published.resolve('weights') == str(cache / 'weights.pth')
    assert server.requests == []


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        ('/broken', 'incomplete'),
        ('/cut', 'what came is damaged'),
        ('/empty', 'what came is damaged or no weight file'),
        ('/page', 'what came is no weight file'),
        ('/none', '404'),
    ],
)
def test_what_is_not_the_file_leaves_nothing(publish, cache, path, words):
    entry = publish(path)
    with pytest.raises(UserError) as error:
        published.fetch('weights')
    assert_one_line(error, words, entry, cache)
    assert '.part' not in str(error.value)
    assert list(cache.iterdir()) == []


def assert_one_line(error, words, entry, cache):
    """The message says why, from where, and where to put the file by hand."""
    text = str(error.value)
    assert '\n' not in text
    assert words in text.lower()
    assert f' {entry.address} ' in text
    assert text.endswith(f' {cache / "weights.pth"}')
    assert len(text) < 700


def test_a_server_that_falls_silent_is_not_waited_for(monkeypatch, publish, cache):
    monkeypatch.setattr(published, '_TIMEOUT', (5, 0.3))
    entry = publish('/stalls')
    with pytest.raises(UserError) as error:
        published.fetch('weights')
    assert_one_line(error, 'read timed out', entry, cache)
    assert list(cache.iterdir()) == []


def test_the_first_signal_ends_it(publish, cache):
    publish('/endless')

    def signal_when_it_comes():
        while not any(path.stat().st_size for path in cache.glob('.*/weights.pth')):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=signal_when_it_comes, daemon=True).start()
    with stopping.stop_signals(), pytest.raises(stopping.Stopped, match='SIGTERM') as stop:
        published.fetch('weights')
    assert stop.value.status == 143
    assert list(cache.iterdir()) == []


def refuse(*args, **kwargs):
    raise RuntimeError('Failed to retrieve file url:\n\n\tToo many users\n\thave viewed this file.\n')


def test_what_google_drive_and_the_disk_say(monkeypatch, publish, cache):
    entry = publish()
    monkeypatch.setattr(published.gdown, 'download', refuse)
    with pytest.raises(UserError) as error:
        published.fetch('weights')
    assert_one_line(error, 'too many users have viewed this file.', entry, cache)
    cache.rmdir()
    cache.write_text('a file where the folder should be')
    with pytest.raises(UserError) as error:
        published.fetch('weights')
    assert_one_line(error, 'exists', entry, cache)


def test_resolve(publish, cache, tmp_path, monkeypatch):
    publish()
    assert published.resolve('weights') == str(cache / 'weights.pth')
    (tmp_path / 'plain').write_bytes(WHOLE)
    monkeypatch.chdir(tmp_path)
    for path in ('', 'plain', './weights', 'weights.pth', 'nowhere/weights', str(tmp_path / 'nowhere')):
        assert published.resolve(path) == path
    with pytest.raises(UserError) as error:
        published.resolve('weight')
    text = str(error.value)
    assert "unknown weights 'weight' (did you mean 'weights'?)" in text
    assert ', '.join(PUBLISHED) in text
    assert './weight)' in text
    assert '\n' not in text


def test_the_table():
    for name, entry in PUBLISHED.items():
        assert entry.address.startswith('https://')
        assert Path(name).name == name  # looks like no path,
        assert '.' not in name  # nor like a file


def test_jobs_take_the_name(publish, cache, monkeypatch):
    publish()
    monkeypatch.setattr(stages, 'check_names', lambda cfg: None)
    monkeypatch.setattr(stages, 'render_data', lambda cfg: None)
    monkeypatch.setattr(stages, 'adapt', lambda start: taken.append((start.weights, start.pretraining)))
    cfg = run_words.load_config(['--config-file', 'configs/paul_market.yaml', 'use_gpu', 'False'])
    cfg = with_keys(cfg, {'model.load_weights': 'weights', 'data.save_dir': str(cache)})
    taken = []
    stages.run(cfg)
    assert taken == [(str(cache / 'weights.pth'), None)]


@pytest.mark.parametrize('loss', ['paul', 'softmax'])
def test_jobs_refuse_an_unknown_name_in_one_line(loss, rendered, tmp_path, capsys):
    words = (
        f'-s synthetic_target -t synthetic_target --root {rendered} loss.name {loss} model.name paul_osnet_x0_25 '
        f'model.pretrained False model.load_weights paul_msmt17_relase data.save_dir {tmp_path / "log"} '
        'train.batch_size 8 paul.k 3 data.workers 0 train.seed 5 '
        'paul.synthetic.train_ids 8 paul.synthetic.test_ids 6 paul.synthetic.images_per_id 6 '
        '--transforms random_flip surrogate_positive'
    ).split()
    if loss == 'softmax':
        words.remove('surrogate_positive')
    with pytest.raises(SystemExit) as stop:
        train.main(words)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    (line,) = [line for line in err.splitlines() if line.startswith('error: ')]
    assert line.startswith(
        "error: unknown weights 'paul_msmt17_relase' (did you mean 'paul_msmt17_release'?): expected one of"
    )
