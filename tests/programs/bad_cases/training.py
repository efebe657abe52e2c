"""Runs that fail while they train."""

from programs.bad_cases.case import RAN, TWO, Case, ends_well
from programs.bad_cases.limits import little_memory

CASES = [
    Case(
        'learning rate 1e30',
        f'{TWO} train.lr 1e30',
        r'error: epoch 1, step 2: not finite: loss nan, .*: lower train.lr.*\nerror: images of epoch 1, .*jpg',
        writes=f'{RAN}|model/.*',
    ),
    ends_well('float16 overflows', f'{TWO} train.lr 1e30 train.amp fp16', 'steps so far were skipped'),
    Case(
        'too little memory',
        'paul.feature_dim 10000 paul.num_patches 1000',
        'out of memory: lower train.batch_size',
        limit=little_memory,
        writes=RAN,
    ),
]
