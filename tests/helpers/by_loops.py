"""The paper's losses and miner in loops, and what the miners of cameras compare, by loops."""

import torch

COUNTS = [[9, 11, 5], [20, 1, 4], [3, 3, 3, 13], [25]]  # images of each camera


def cameras_of(counts):
    return [camera for camera, count in enumerate(counts) for _ in range(count)]


def unit_of(descriptors, counts):
    """Of length 1, each without its camera's mean; a camera's only one stays."""
    cameras, unit = cameras_of(counts), []
    for row, camera in enumerate(cameras):
        own = [other for other, of in enumerate(cameras) if of == camera]
        mean = sum(descriptors[other] for other in own) / len(own)
        centred = descriptors[row] - mean if len(own) > 1 else descriptors[row]
        unit.append(centred / centred.norm())
    return unit


def pedal_by_loops(features, bank, rows, k, scale, filled=None, counts=None):
    """PEDAL of (B, M, D), image by image, patch by patch and, with the images of each camera, camera by camera."""
    camera_of = cameras_of(counts or [bank.shape[1]])
    cameras = [camera for camera in dict.fromkeys(camera_of) if camera_of.count(camera) > k]
    total = 0
    for i, row in enumerate(rows.tolist()):
        for m in range(features.shape[1]):
            logits = [-scale / 2 * ((other - features[i, m]) ** 2).sum() for other in bank[m]]
            for camera in cameras:
                others = [j for j, of in enumerate(camera_of) if of == camera and j != row]
                found = [logits[j] for j in others if filled is None or filled[j]]
                if found:
                    near = sorted(found, key=lambda logit: -logit.item())[:k]
                    total += torch.stack(found).logsumexp(0) - torch.stack(near).logsumexp(0)
    return total / (features.shape[0] * features.shape[1] * len(cameras))


def ranking(features, i):
    """The other images from the nearest on, by index where equally near."""
    others = [j for j in range(len(features)) if j != i]
    return sorted(others, key=lambda j: (torch.dist(features[i], features[j]).item(), j))


def mined_by_loops(features, r):
    """Cyclic ranking, walked: the negative of each image, or -1."""
    lists = [ranking(features, i) for i in range(len(features))]
    passing = [[j for j in lists[i] if i not in lists[j][:r]] for i in range(len(features))]
    return [found[0] if found else -1 for found in passing]


def ipfl_by_loops(anchors, positives, negatives, valid, margin):
    terms = []
    for a, p, n, v in zip(anchors, positives, negatives, valid, strict=True):
        if v:
            terms.append(torch.clamp(margin + (a - p).pow(2).sum().sqrt() - (a - n).pow(2).sum().sqrt(), min=0))
    return torch.stack(terms).mean() if terms else anchors.sum() * 0
