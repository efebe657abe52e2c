"""Three whole steps of the released variant, computed again from the formulas: plain loops, nothing of the package."""

import pytest
import torch
import torchreid
from torch.nn import functional as F

from paul_plugin.data.loaders import seeded_loader
from paul_plugin.host.data import training_images

M, D, E, S, K, MARGIN, LR, DECAY = 6, 16, 128, 10.0, 5, 2.0, 0.01, 1e-4


class PlainPaul:
    """The released unsupervised stage in the shortest words that torch has, in float64."""

    def __init__(self, state):
        self.state = {key: value.detach().clone() for key, value in state.items()}
        self.backbone = torchreid.models.build_model('osnet_x0_25', 1, pretrained=False).double().train()
        own = self.backbone.state_dict()
        own.update({key[9:]: value for key, value in self.state.items() if key.startswith('backbone.')})
        self.backbone.load_state_dict(own)
        trained = [key for key in self.state if key.startswith('branches') and key.endswith(('weight', 'bias'))]
        self.parameters = {key: self.state[key].requires_grad_() for key in trained}
        for key, value in self.backbone.named_parameters():
            if not key.startswith(('fc.', 'classifier.')):
                self.parameters[f'backbone.{key}'] = value
        self.velocity = {}
        self.bank, self.centroid = {}, {}

    def batch_norm(self, x, name):
        dims = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean, var = x.mean(dims), x.var(dims, unbiased=False)
        weight, bias = self.state[f'{name}.weight'], self.state[f'{name}.bias']
        scaled = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
        return scaled * weight.view(shape) + bias.view(shape)

    def features(self, images):
        maps = self.backbone.featuremaps(images)
        s = self.state
        x = F.conv2d(maps, s['pgn.localization.0.weight'], s['pgn.localization.0.bias'])
        x = F.max_pool2d(self.batch_norm(x, 'pgn.localization.1').relu(), 3, 2, 1).mean((2, 3))
        x = (x @ s['pgn.regression.0.weight'].T + s['pgn.regression.0.bias']).relu()
        theta = (x @ s['pgn.regression.2.weight'].T + s['pgn.regression.2.bias']).view(len(images), M, 2, 3)
        features = []
        for m in range(M):
            grid = F.affine_grid(theta[:, m], list(maps.shape), align_corners=True)
            pooled = F.grid_sample(maps, grid, align_corners=True).mean((2, 3))
            x = pooled @ s[f'branches.{m}.reduction.weight'].T + s[f'branches.{m}.reduction.bias']
            x = self.batch_norm(x, f'branches.{m}.norm')
            features.append(x / x.norm(dim=1, keepdim=True))
        return features  # M x (2B, D)

    def step(self, images, names):
        batch = len(names)
        features = self.features(images)
        for i, name in enumerate(names):
            new = [features[m][i].detach() for m in range(M)]
            if name in self.bank:
                new = [0.9 * old + 0.1 * x for old, x in zip(self.bank[name], new)]
            self.bank[name] = new

        pedal = 0
        for i, name in enumerate(names):
            for m in range(M):
                others = [row[m] for other, row in self.bank.items() if other != name]
                squared = torch.stack([((w - features[m][i]) ** 2).sum() for w in others])
                near = squared.sort().values[:K]
                pedal = pedal - torch.log((-S / 2 * near).exp().sum() / (-S / 2 * squared).exp().sum()) / (batch * M)

        embeddings = []
        for row in range(2 * batch):
            parts = []
            for m in range(M):
                weight = self.state[f'embedding.{m}.weight']
                parts += [(w / w.norm()) @ features[m][row] for w in weight]
            embeddings.append(torch.stack(parts))
        for i, name in enumerate(names):
            mean = ((embeddings[i] + embeddings[batch + i]) / 2).detach()
            self.centroid[name] = 0.9 * self.centroid[name] + 0.1 * mean if name in self.centroid else mean
        centroids = [self.centroid[name] for name in names]

        ipfl = 0
        for row in range(2 * batch):
            own = row % batch
            order = sorted(range(batch), key=lambda j: (embeddings[row] - centroids[j]).norm().item())
            hinge = MARGIN + (embeddings[row] - centroids[own]).norm()
            for j in [j for j in order if j != own][:15]:
                ranked = sorted(range(batch), key=lambda k: (centroids[j] - centroids[k]).norm().item())
                if own not in ranked[:3]:  # j itself is the first of the three
                    hinge = (hinge - (embeddings[row] - centroids[j]).norm()).clamp(min=0)
                    break
            ipfl = ipfl + hinge / (2 * batch)

        loss = ipfl + 2 * pedal
        gradients = torch.autograd.grad(loss, list(self.parameters.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(self.parameters.items(), gradients):
                gradient = gradient + DECAY * weight
                self.velocity[name] = 0.9 * self.velocity[name] + gradient if name in self.velocity else gradient
                weight -= LR * self.velocity[name]
        return loss.item(), pedal.item(), ipfl.item()


def test_three_steps(make_engine, make_datamanager):
    datamanager = make_datamanager(batch_size_train=6, height=64, width=48)
    engine = make_engine(datamanager, lr=LR, ipfl='centroid', r=2, max_candidates=15, scale=S, k=K, margin=MARGIN)
    engine.model.double()
    engine.memory.double()
    engine.ipfl.double()
    with torch.no_grad():  # rotated, moving patches
        engine.model.pgn.regression[2].weight.normal_(std=0.05)
        engine.model.pgn.regression[2].bias.add_(0.05 * torch.randn(36))
    plain = PlainPaul(engine.model.state_dict())

    for row, name in enumerate(training_images(datamanager)):  # a bank that is filled with anything
        values = F.normalize(torch.randn(M, D, dtype=torch.float64), dim=1)
        engine.memory.update(torch.tensor([row]), values.unsqueeze(0))
        plain.bank[name] = list(values)
    engine.two_stepped_transfer_learning(0, 0, None)

    for index, batch in enumerate(seeded_loader(datamanager.train_loader, seed=1)):
        if index == 3:
            break
        batch['img'] = [images.double() for images in batch['img']]
        losses = plain.step(torch.cat(batch['img']), batch['impath'])
        summary = engine.forward_backward(batch)
        assert [summary[name] for name in ('loss', 'pedal', 'ipfl')] == pytest.approx(losses, rel=1e-6, abs=1e-6)
    for name, weight in engine.model.named_parameters():
        if name in plain.parameters:
            torch.testing.assert_close(weight.detach(), plain.parameters[name].detach(), rtol=1e-6, atol=1e-8)
