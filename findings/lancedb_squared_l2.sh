#!/usr/bin/env bash
# LanceDB's search compares by L2 unless told otherwise, and what it calls _distance is then the squared L2.
# Versions: lancedb 0.40.0. Valid table: three vectors, of which the one with the same direction is the longest.
# Seen: the nearest by search(query) is another one than by distance_type('cosine'); _distance is 25 for points 5 apart.
# Do: say .distance_type('cosine') in every search (or build the index with it); compare thresholds with squared L2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" lancedb==0.40.0
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys

import lancedb

database = lancedb.connect('vectors.lance')
rows = [
    {'path': 'same direction.jpg', 'vector': [10.0, 0.0]},
    {'path': 'near.jpg', 'vector': [1.0, 1.0]},
    {'path': 'five away.jpg', 'vector': [4.0, 4.0]},
]
table = database.create_table('crops', rows)
query = [1.0, 0.0]
print('lancedb', lancedb.__version__, 'query', query)
found = {}
for name, search in (('as it is', table.search(query)), ('cosine', table.search(query).distance_type('cosine'))):
    found[name] = {row['path']: round(row['_distance'], 4) for row in search.limit(3).to_list()}
    print(f'{name}:', found[name])
first = {name: next(iter(distances)) for name, distances in found.items()}
same = first == {'as it is': 'near.jpg', 'cosine': 'same direction.jpg'}
sys.exit(not (same and found['as it is']['five away.jpg'] == 25))
PYTHON
