#!/usr/bin/env bash
# norfair never calls reid_distance_function where a person gets an id at once: period over, or delay of, 0 turn it off.
# Versions: norfair 2.3.0. Valid input: a person with one descriptor leaves and comes back elsewhere. The tracker has a
#   reid_distance_function of the descriptors and either initialization_delay 0, or 3 and a detector that runs on each
#   5th frame, with update(detections, period=5) there and update() between, as the docstring of update asks for.
# Seen: the function is called 0 times and the person is a new one, with the distance 0 and without a word; with
#   delay 3 and each frame detected it is called and the id is kept. Only tracks without an id are compared, and the
#   hit counter starts at `period`, so that a track whose period is over the delay never is one of them. It is asked
#   again at a delay of at least the period.
# Do: set initialization_delay to at least the period, and to at least 1, where you want re-ID; count the calls.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" --no-deps norfair==2.3.0 filterpy==1.4.5 # needs no matplotlib
python3 -m pip install --quiet --target "$folder/packages" numpy==1.26.4 scipy==1.17.1 rich==14.3.3
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from norfair import Detection, Tracker

descriptor = np.array([0.6, 0.8])


def ids(delay, period):
    """The person's ids, in order, and how often the distance of descriptors was asked for."""
    asked = []

    def distance(new, old):
        asked.append(1 - new.last_detection.embedding @ old.last_detection.embedding)
        return asked[-1]

    tracker = Tracker(
        'iou',
        distance_threshold=0.7,
        hit_counter_max=15,
        initialization_delay=delay,
        reid_distance_function=distance,
        reid_distance_threshold=0.5,
        reid_hit_counter_max=200,
    )
    given = []
    for frame in range(150):
        left = 100 if frame < 50 else 500  # away from 50 to 80
        if frame % period:
            tracks = tracker.update()
        elif 50 <= frame < 80:
            tracks = tracker.update([], period=period)
        else:
            box = np.array([[left, 100], [left + 40, 180]])
            tracks = tracker.update([Detection(box, embedding=descriptor)], period=period)
        given += [track.id for track in tracks if track.id not in given]
    return given, len(asked)


print('norfair', version('norfair'))
found = {}
for delay, period in ((3, 1), (1, 1), (0, 1), (5, 5), (3, 5), (0, 5)):
    found[delay, period] = ids(delay, period)
    print(f'initialization_delay {delay}, detected each {period}. frame: ids {found[delay, period][0]},', end=' ')
    print(f'reid_distance_function called {found[delay, period][1]} times')
expected = {(delay, period): 1 if delay >= period else 2 for delay, period in found}
same = all((len(given), asked > 0) == (expected[key], expected[key] == 1) for key, (given, asked) in found.items())
sys.exit(not same)
PYTHON
