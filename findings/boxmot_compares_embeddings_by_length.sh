#!/usr/bin/env bash
# BoxMOT's DeepOcSort and OccluBoost take dot products of the embeddings as they are: their length decides who is who.
# Versions: boxmot 25.0.0. Valid input: Detections with `embeddings`, which must be float32 and finite; no text asks
#   for more. Two people side by side; then one box, where Anna was, whose descriptor has cosine 0.5 to hers before and
#   0.7 to Bert's, as when she turns in front of him. All is done with descriptors of length 1 and of length 20.
# Seen: with length 1 the box keeps Anna's id, since the overlap outweighs the small difference; with 20 it gets Bert's,
#   without a word: the dot product grows with the length, the overlap that it stands beside is at most 1. BotSort,
#   StrongSort and HybridSort divide by the length themselves and give the same id for both.
# Do: divide each descriptor by its length before; torchreid's FeatureExtractor does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# torch is several GB: the one that is there serves as well, and the script prints which
python3 -c 'import torch' || python3 -m pip install --quiet --target "$folder/packages" torch==2.14.1
python3 -m pip install --quiet --target "$folder/packages" --no-deps boxmot==25.0.0 filterpy==1.4.5 lapx==0.11.1 # names another OpenCV
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 scipy==1.17.1 rich==15.0.0 tqdm==4.70.1 pyyaml==6.0.4 \
  opencv-python-headless==5.0.0.93
cd "$folder"
PYTHONPATH="$folder/packages" python3 -W ignore - <<'PYTHON'
import logging
import sys
from importlib.metadata import version

import boxmot
import numpy as np
import torch
from boxmot.structures import Boxes, Detections

logging.disable(logging.WARNING)  # each tracker tells its settings
frame = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)  # for the motion of the camera: none
anna, bert = np.array([1, 0, 0]), np.array([0, 1, 0])
turned = np.array([0.5, 0.7, np.sqrt(1 - 0.5**2 - 0.7**2)])  # of length 1


def detections(*people):
    """A box of 40 x 80 at each left edge, with its descriptor."""
    lefts, descriptors = zip(*people, strict=True)
    return Detections(
        geometry=Boxes(torch.tensor([[left, 100.0, left + 40, 180] for left in lefts])),
        scores=torch.full((len(people),), 0.9),
        class_ids=torch.zeros(len(people), dtype=torch.long),
        sample_id='frame',
        embeddings=torch.from_numpy(np.array(descriptors)).float(),
    )


def identity(kind, length):
    """Whose track the turned descriptor's box gets."""
    tracker = kind(det_thresh=0.3)
    for _ in range(8):
        tracks = tracker.update(detections((100, length * anna), (112, length * bert)), frame)
    lefts = {int(track): float(box[0]) for track, box in zip(tracks.track_ids, tracks.geometry.values, strict=True)}
    (track,) = tracker.update(detections((100, length * turned)), frame).track_ids
    return 'Anna' if lefts[int(track)] < 106 else 'Bert'


print('boxmot', version('boxmot'), 'torch', torch.__version__)
found = {}
for name in ('DeepOcSort', 'OccluBoost', 'BotSort', 'StrongSort', 'HybridSort'):
    found[name] = tuple(identity(getattr(boxmot, name), length) for length in (1, 20))
    print(f'{name}: with descriptors of length 1 {found[name][0]}, of length 20 {found[name][1]}')
same = found['DeepOcSort'] == found['OccluBoost'] == ('Anna', 'Bert')
sys.exit(not (same and all(len(set(found[name])) == 1 for name in ('BotSort', 'StrongSort', 'HybridSort'))))
PYTHON
