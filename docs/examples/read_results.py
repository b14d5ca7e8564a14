"""Which solver reaches an error of 1e-4 with the fewest evaluations of the vector field?

python docs/examples/read_results.py out/bench.db --problem cosine
"""

import argparse

import results

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("database", help="a path, or the URL of a PostgreSQL server's database")
parser.add_argument("--problem", default="cosine")
parser.add_argument("--error", type=float, default=1e-4)
asked = parser.parse_args()

with results.open(asked.database) as store:
    wide = store.summary(results.Where(problem=asked.problem, status="ok"))

close = wide[wide["error"] <= asked.error]
best = close.sort_values("nfe_forward").drop_duplicates("solver")

print(f"{'solver':12}{'evaluations':>12}{'error':>12}{'seconds':>12}")
for row in best.itertuples():
    print(f"{row.solver:12}{row.nfe_forward:12.0f}{row.error:12.1e}{row.forward_s:12.2e}")
