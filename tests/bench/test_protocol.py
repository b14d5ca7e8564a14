"""The kinds of trial that a cell needs, and the blocks and groups in which cells are measured together."""

from dataclasses import replace

from bench.measures.kinds import kinds
from bench.plan.protocol import Pending, blocks, groups
from results.records import Cell

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)


def test_counts_come_first_and_timing_comes_last():
    assert kinds(CELL)[0] == "counts"
    assert kinds(CELL)[-1] == "timing"


def test_a_cell_is_trained_only_if_it_has_iterations():
    assert kinds(CELL) == ["counts", "accuracy", "memory", "timing"]
    assert "training" in kinds(replace(CELL, gradient="backprop", iterations=5))


def test_cells_that_are_compared_share_a_block_and_others_do_not():
    cells = [CELL, replace(CELL, backend="torchdiffeq"), replace(CELL, rtol=1e-3), replace(CELL, horizon=9.0)]
    parts = [{one.cell for one in block} for block in blocks(Pending(cell, "timing") for cell in cells)]
    assert sorted(map(len, parts)) == [1, 3]
    assert {cells[3]} in parts


def test_groups_hold_each_cell_once_and_keep_the_libraries_of_one_solve_together():
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
