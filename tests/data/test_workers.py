"""Every loader carries our reader of images, also to workers that are not forked and import this package by nothing."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading

LIMIT = 200  # seconds; it takes some 15

CASES = ['spawn query', 'forkserver train', 'forkserver fill', 'forkserver seeded']
# The package is imported inside of main(): a worker that is spawned imports this file, and so torchreid alone. One
# process starts them all.
PROGRAM = """
import multiprocessing, sys
import torch, torchreid

def main(root, *cases):
    for case in cases:
        refused(root, *case.split())

def refused(root, method, part):
    import paul_plugin
    from paul_plugin.data.loaders import fill_loader, seeded_loader, stop_workers
    datamanager = torchreid.data.ImageDataManager(
        root=root, sources='market1501', height=48, width=24, batch_size_train=2, batch_size_test=2, workers=1,
        use_gpu=False, transforms=['surrogate_positive'],
    )
    loaders = datamanager.test_loader['market1501']
    loader = datamanager.train_loader if part in ('train', 'seeded', 'fill') else loaders[part]
    if part == 'seeded':
        loader = seeded_loader(loader, seed=0)
    if part == 'fill':
        loader = fill_loader(loader, seed=0)
    loader.multiprocessing_context = method
    try:
        for _ in loader:
            pass
    except paul_plugin.data.images.BadImage as error:
        print('REFUSED', method, part, error, flush=True)
    finally:
        stop_workers(loader)  # those that outlive a signal would keep the program for their 10 seconds

if __name__ == '__main__':
    multiprocessing.set_forkserver_preload(['torchreid'])
    main(*sys.argv[1:])
"""


def test_a_damaged_image_ends_a_spawned_worker(market, tmp_path):
    """torchreid's own reader tries for ever there."""
    damaged = {}
    for folder in ('query', 'bounding_box_train'):
        damaged[folder] = sorted((market.folder / folder).iterdir())[0]
        content = damaged[folder].read_bytes()
        damaged[folder].write_bytes(content[: len(content) // 2])
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program), str(market.root), *CASES],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        # A worker in torchreid's loop outlives its parent: the whole session is ended.
        limit = threading.Timer(LIMIT, lambda: os.killpg(process.pid, signal.SIGKILL))
        limit.start()
        out = ''.join(itertools.islice(process.stdout, 500))
        limit.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for case in CASES:
        image = damaged['query' if case.endswith('query') else 'bounding_box_train']
        assert f'REFUSED {case} bad image {image}: it is damaged' in out, out[-2000:]
    assert 'Will redo' not in out
