"""Whether loading the images keeps up with training."""

import contextlib
import io
import os
import tempfile
import time

import torch
import torchreid

from paul_plugin.data import loaders
from paul_plugin.data.synthetic.render import render
from paul_plugin.engines.paul import ImagePAULEngine

from .sizes import K


def _engine(root: str, device: torch.device) -> ImagePAULEngine:
    """The embedded job's engine of the unsupervised stage, ready for its first step."""
    on_gpu = device.type == 'cuda'
    render(os.path.join(root, 'synthetic_target'), 'target', seed=1)
    datamanager = torchreid.data.ImageDataManager(
        root=root,
        sources='synthetic_target',
        height=96,
        width=48,
        transforms=['random_flip', 'surrogate_positive'],
        batch_size_train=40,
        workers=2,
        use_gpu=on_gpu,
    )
    model = torchreid.models.build_model('paul_osnet_x0_25', loss='paul', pretrained=False)
    model = model.to(memory_format=torch.channels_last).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    engine = ImagePAULEngine(datamanager, model, optimizer, use_gpu=on_gpu, k=K, scale=10.0)
    engine.fill_memory()
    engine.two_stepped_transfer_learning(0, 0, None)
    return engine


def loader_of_the_embedded_job(device: torch.device) -> dict[str, float]:
    """An unsupervised epoch of the embedded job with 2 workers: images/s, and the share of time spent on waiting."""
    with tempfile.TemporaryDirectory() as root, contextlib.redirect_stdout(io.StringIO()):
        engine = _engine(root, device)
        loader = loaders.seeded_loader(engine.datamanager.train_loader, seed=1)
        for _ in range(2):  # the workers start with the first epoch
            waited, images, start = 0.0, 0, time.perf_counter()
            end = start
            for batch in loader:
                waited += time.perf_counter() - end
                engine.forward_backward(batch)
                images += len(batch['impath'])
                end = time.perf_counter()
            total = end - start
    figures = {'images_per_second': images / total, 'data_share': waited / total}
    print(f'\nunsupervised epoch of the embedded job, 2 workers: {images / total:.0f} images/s, ', end='')
    print(f'waiting for data {waited / total:.1%} of the time')
    return figures
