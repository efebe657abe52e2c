#!/usr/bin/env bash
# DuckDB reads a Parquet column of vectors of one length as FLOAT[], which its vector functions refuse.
# Versions: duckdb 2.0.1, pyarrow 26.0.1. Valid file: a column of type fixed_size_list<float>[4], as pyarrow writes it.
# Seen: see the printed lines; the length is lost although the file's Arrow schema tells it, and array_cosine_distance
#   fails with a BinderException that asks for casts. The same pyarrow table read directly is FLOAT[4].
# Do: cast in the query, v::FLOAT[4]; or use the list_ functions (list_cosine_distance), which take FLOAT[].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder/packages" duckdb==2.0.1 pyarrow==26.0.1
cd "$folder"
PYTHONPATH="$folder/packages" python3 - <<'PYTHON'
import sys

import duckdb
import pyarrow
from pyarrow import parquet

vectors = pyarrow.array([[1, 0, 0, 0], [0, 1, 0, 0]], pyarrow.list_(pyarrow.float32(), 4))
table = pyarrow.table({'path': ['a.jpg', 'b.jpg'], 'v': vectors})
parquet.write_table(table, 'vectors.parquet')
print('duckdb', duckdb.__version__, 'pyarrow', pyarrow.__version__)
print('pyarrow reads back:', parquet.read_table('vectors.parquet').schema.field('v').type)
of_file = duckdb.sql("SELECT typeof(v) FROM 'vectors.parquet'").fetchall()[0][0]
of_table = duckdb.sql('SELECT typeof(v) FROM "table"').fetchall()[0][0]
print('duckdb reads the file as', of_file, 'and the table as', of_table)
query = "SELECT array_cosine_distance({}, [1, 0, 0, 0]::FLOAT[4]) FROM 'vectors.parquet' ORDER BY path"
try:
    refused = f'not refused: {duckdb.sql(query.format("v")).fetchall()}'
except duckdb.BinderException as error:
    refused = str(error).splitlines()[0]
print('array_cosine_distance:', refused)
cast = duckdb.sql(query.format('v::FLOAT[4]')).fetchall()
print('with v::FLOAT[4]:', cast)
listed = duckdb.sql("SELECT list_cosine_distance(v, [1, 0, 0, 0]::FLOAT[]) FROM 'vectors.parquet' ORDER BY path")
print('list_cosine_distance:', listed := listed.fetchall())
same = of_file == 'FLOAT[]' and of_table == 'FLOAT[4]' and 'not refused' not in refused
sys.exit(not (same and cast == listed == [(0.0,), (1.0,)]))
PYTHON
