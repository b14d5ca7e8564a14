"""Which trials a cell needs, and which are still to be done."""

from dataclasses import replace

import pytest

from bench.protocol import Recorded, blocks, groups, kinds, pending
from results.records import Cell

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)


def recorded(*settled: str, **kinds: str) -> Recorded:
    return Recorded({CELL.key: {(kind, 0): status for kind, status in kinds.items()}}, set(settled))


def test_what_is_counted_comes_first_and_timing_when_all_else_is_known():
    assert kinds(CELL)[0] == "counts"
    assert kinds(CELL)[-1] == "timing"


def test_a_cell_is_trained_only_if_it_asks():
    assert kinds(CELL) == ["counts", "accuracy", "memory", "timing"]
    assert "training" in kinds(replace(CELL, gradient="backprop", iterations=5))


def test_only_what_is_not_recorded_is_pending():
    everything = pending([CELL], Recorded())
    assert [one.kind for one in everything] == kinds(CELL)
    assert pending([CELL], recorded(counts="ok", accuracy="ok")) == everything[2:]
    assert pending([CELL], recorded(CELL.key, counts="ok", accuracy="ok", memory="ok", timing="ok")) == []


def test_a_cell_is_timed_until_its_timing_has_come_to_its_end():
    measured = {"counts": "ok", "accuracy": "ok", "memory": "ok", "timing": "ok"}
    assert [one.kind for one in pending([CELL], recorded(**measured))] == ["timing"]
    assert pending([CELL], recorded(CELL.key, **measured)) == []


@pytest.mark.parametrize("kind", ["memory", "timing"])
def test_a_failed_trial_is_a_result_and_not_repeated(kind):
    assert kind not in [one.kind for one in pending([CELL], recorded(**{kind: "timeout"}))]


def test_a_twin_is_no_timing_of_the_cell_itself():
    assert "timing" in [one.kind for one in pending([CELL], recorded(twin="crashed"))]


def test_a_cell_that_could_not_be_counted_is_done():
    assert pending([CELL], recorded(counts="unavailable")) == []


def test_cells_that_are_compared_share_a_block_and_others_do_not():
    cells = [CELL, replace(CELL, backend="torchdiffeq"), replace(CELL, rtol=1e-3), replace(CELL, horizon=9.0)]
    parts = [{one.cell for one in block} for block in blocks(pending(cells, Recorded()))]
    assert sorted(map(len, parts)) == [1, 3]
    assert {cells[3]} in parts


def test_new_processes_are_numbered_after_those_that_are_there():
    assert Recorded().next_process([CELL]) == 0
    timed = {("counts", 0): "ok", ("timing", 4): "ok", ("twin", 6): "ok"}
    assert Recorded({CELL.key: timed}).next_process([CELL, replace(CELL, seed=1)]) == 7


def test_groups_hold_each_cell_once_and_the_libraries_of_one_solve_together():
    cells = [
        replace(CELL, backend=backend, solver=solver, rtol=rtol)
        for backend in ("node", "torchdiffeq")
        for solver in ("bosh3", "dopri5", "tsit5")
        for rtol in (1e-3, 1e-5)
    ]
    parts = groups(cells, 4)
    assert sorted(cell.key for part in parts for cell in part) == sorted(cell.key for cell in cells)
    assert max(map(len, parts)) <= 4
    for part in parts:
        alike = [(cell.solver, cell.rtol) for cell in part]
        assert all(alike.count(each) == 2 for each in alike)
    assert groups([], 4) == []
