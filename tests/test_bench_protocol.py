"""Which trials a cell needs, and which are still to be done."""

from dataclasses import replace

from bench.protocol import blocks, pending, trials
from bench.sweep import Measure
from results.records import Cell

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)
MEASURE = Measure(processes=2)


def test_what_is_counted_comes_first():
    assert trials(CELL, MEASURE)[0].kind == "counts"


def test_a_cell_is_timed_in_several_processes_and_trained_only_if_it_asks():
    kinds = [trial.kind for trial in trials(CELL, MEASURE)]
    assert kinds == ["counts", "accuracy", "memory", "timing", "timing"]
    trained = replace(CELL, gradient="backprop", iterations=5)
    assert "training" in [trial.kind for trial in trials(trained, MEASURE)]


def test_only_what_is_not_recorded_is_pending():
    everything = pending([CELL], {}, MEASURE)
    recorded = {CELL.key: {(trial.kind, trial.process_index): "ok" for trial in everything[:3]}}
    assert pending([CELL], recorded, MEASURE) == everything[3:]
    assert pending([CELL], {CELL.key: {(t.kind, t.process_index): "ok" for t in everything}}, MEASURE) == []


def test_a_failed_trial_is_a_result_and_not_repeated():
    recorded = {CELL.key: {("memory", 0): "timeout"}}
    assert "memory" not in [trial.kind for trial in pending([CELL], recorded, MEASURE)]


def test_a_cell_that_could_not_be_counted_is_done():
    assert pending([CELL], {CELL.key: {("counts", 0): "unavailable"}}, MEASURE) == []


def test_cells_that_are_compared_share_a_block_and_others_do_not():
    cells = [CELL, replace(CELL, backend="torchdiffeq"), replace(CELL, rtol=1e-3), replace(CELL, horizon=9.0)]
    parts = [{trial.cell for trial in block} for block in blocks(pending(cells, {}, MEASURE))]
    assert sorted(map(len, parts)) == [1, 3]
    assert {cells[3]} in parts
