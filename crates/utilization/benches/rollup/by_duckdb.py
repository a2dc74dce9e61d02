"""Loads the tables of a folder into a DuckDB file of its own, and times the statements alone, on one thread.

Called by the bench: by_duckdb.py FOLDER STATEMENTS CHECKSUM. Prints the seconds and the checksum.
"""

import sys
import time

import duckdb

folder, statements, checksum = sys.argv[1:]
db = duckdb.connect(f"{folder}/bench.duckdb")
db.execute("set threads = 1")
db.execute("set enable_progress_bar = false")
for table in ["bench_facts", "bench_cuts"]:
    db.execute(f"create table {table} as select * from read_csv('{folder}/{table}.csv', header = true)")
db.execute("checkpoint")
begun = time.time()
db.execute(statements)
took = time.time() - begun
print(took, "|".join(str(int(value)) for value in db.execute(checksum).fetchone()))
