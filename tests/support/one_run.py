"""A run of two cells, and a timing of one of them."""

from dataclasses import replace

from results.records import Cell, Environment, Planned, Run, Sample, Trial

EULER = Cell(problem="cosine", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=0.1)
DOPRI5 = Cell(problem="cosine", backend="node", solver="dopri5", horizon=1.0, n_outputs=2, rtol=1e-5, atol=1e-7)
PLAN = [Planned("solvers", EULER), Planned("adaptive", DOPRI5), Planned("solvers", DOPRI5)]
HERE = Environment({"cpu": "one"})


def a_run(run_id: str = "run-1", *, started_at: float = 1.0, environment: Environment = HERE) -> Run:
    return Run(
        id=run_id, sweep_name="small", sweep_text="[[grid]]", environment=environment, started_at=started_at,
        git_revision="abc", git_dirty=True, volatile={"load": "0.1"},
    )  # fmt: skip


def timing(cell: Cell = EULER, **changes) -> Trial:
    samples = [Sample(round_index, 1 - round_index, 0.5 + round_index, 3) for round_index in range(2)]
    return replace(
        Trial(cell_key=cell.key, kind="timing", samples={"forward_s": samples}, started_at=2.0, duration_s=0.5),
        **changes,
    )
