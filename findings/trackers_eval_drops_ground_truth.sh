#!/usr/bin/env bash
# Roboflow's trackers leaves out ground truth whose 8th column is -1, though its own guide writes it so: scores are 0.
# Versions: trackers 2.6.1, trackeval 1.3.0. Valid input: ground truth of MOT15's form, frame,id,x,y,w,h,conf,-1,-1,-1,
#   which is the example in its guide to evaluation and what its own trackers write. The tracks are the same boxes with
#   the same ids, so each score should be 1.
# Seen: evaluate_mot_sequence says MOTA 0, HOTA 0, IDF1 0, no box of the ground truth, 4 false positives, and no word;
#   it reads the -1 as a class, and scores class 1 alone. TrackEval, whose numbers it says to give, has 1 with
#   BENCHMARK MOT15 and an exception about the class -1 with MOT17. Where -1 and 1 are mixed only the rows with 1 count.
# Do: write 1 into the 8th column of the ground truth, or nothing after the confidence; look at CLR_TP + CLR_FN, which
#   must be the number of your boxes, before you compare descriptors by such scores.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" --no-deps trackers==2.6.1 trackeval==1.3.0 # name another OpenCV
python3 -m pip install --quiet --target "$folder/packages" supervision==0.31.2 pydeprecate==0.13.0 rich==15.0.0 requests==2.34.2 \
  numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2 tabulate==0.10.0 opencv-python-headless==5.0.0.93
cd "$folder"
PYTHONPATH="$folder/packages" python3 -W ignore - <<'PYTHON'
import contextlib
import io
import sys
from importlib.metadata import version
from pathlib import Path

from trackers.eval import evaluate_mot_sequence

with contextlib.redirect_stdout(io.StringIO()):  # it tells which of its many benchmarks lack a package
    import trackeval

boxes = [f'{frame},{person},{100 * person + frame},50,40,80,1' for frame in (1, 2) for person in (1, 2)]
Path('tracks.txt').write_text(''.join(f'{box},-1,-1,-1\n' for box in boxes))


def by_trackers(ends):
    Path('truth.txt').write_text(''.join(f'{box}{end}\n' for box, end in zip(boxes, ends, strict=True)))
    found = evaluate_mot_sequence('truth.txt', 'tracks.txt', metrics=['CLEAR', 'HOTA', 'Identity'])
    clear = found.CLEAR
    scores = tuple(round(float(score), 4) for score in (clear.MOTA, found.HOTA.HOTA, found.Identity.IDF1))
    return scores, clear.CLR_TP + clear.CLR_FN, clear.CLR_FP


def by_trackeval(benchmark):
    """TrackEval's MOTA of the last ground truth, or what it says instead."""
    truth, tracks = Path('truth/sequence/gt'), Path('all/mine/data')
    for place in (truth, tracks):
        place.mkdir(parents=True, exist_ok=True)
    (truth / 'gt.txt').write_text(Path('truth.txt').read_text())
    (tracks / 'sequence.txt').write_text(Path('tracks.txt').read_text())
    settings = {'GT_FOLDER': 'truth', 'TRACKERS_FOLDER': 'all', 'SKIP_SPLIT_FOL': True, 'SEQ_INFO': {'sequence': 2}}
    with contextlib.redirect_stdout(io.StringIO()):
        data = trackeval.datasets.MotChallenge2DBox(settings | {'BENCHMARK': benchmark, 'PRINT_CONFIG': False})
        try:
            sequence = data.get_preprocessed_seq_data(data.get_raw_seq_data('mine', 'sequence'), 'pedestrian')
        except trackeval.utils.TrackEvalException as error:
            return f'TrackEvalException: {str(error).split(".")[0]}'
        return float(trackeval.metrics.CLEAR({'PRINT_CONFIG': False}).eval_sequence(sequence)['MOTA'])


print('trackers', version('trackers'), 'trackeval', version('trackeval'))
found = {}
for name, ends in {
    'the class 1': [',1,1'] * 4,
    'nothing': [''] * 4,
    'both, 1 and -1': [',1,1,-1', ',-1,-1,-1'] * 2,
    '-1,-1,-1': [',-1,-1,-1'] * 4,
}.items():
    found[name] = by_trackers(ends)
    scores, truths, positives = found[name]
    print(f'{name} after the confidence: MOTA, HOTA, IDF1 {scores}; boxes of truth {truths}, false positives {positives}')
others = {benchmark: by_trackeval(benchmark) for benchmark in ('MOT15', 'MOT17')}
print("TrackEval's MOTA of the last one:", others)
right, wrong = ((1, 1, 1), 4, 0), ((0, 0, 0), 0, 4)
same = found['the class 1'] == found['nothing'] == right and found['-1,-1,-1'] == wrong
same = same and found['both, 1 and -1'][1:] == (2, 2)
sys.exit(not (same and others['MOT15'] == 1 and str(others['MOT17']).startswith('TrackEvalException')))
PYTHON
