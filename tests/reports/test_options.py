"""Options on the page: cells that differ in their options alone are distinguished."""

import json
from dataclasses import replace

from reports.views.findings.configuration import Configuration, settings
from reports.views.findings.modes import ModeRow, mode_pairs
from reports.views.parts.columns import OPTIONS
from results.records import Cell
from tests.support.made import a_cell

CELL = Cell(problem="spiral", backend="node", solver="dopri5", gradient="backprop", horizon=1.0, n_outputs=2, dt=0.1)


def with_options(**options: object) -> Cell:
    named = {name.replace("__", "."): value for name, value in options.items()}
    return replace(CELL, options=json.dumps(named, sort_keys=True, separators=(",", ":")))


def test_two_budgets_are_two_configurations_each_compared_with_backprop():
    budgets = [replace(with_options(gradient__budget=n), gradient="checkpointed") for n in (8, 32)]
    base, *others = map(a_cell, (CELL, *budgets))
    assert [str(Configuration.of(each)) for each in others] == [
        "dopri5 on node with checkpointed (budget=8)",
        "dopri5 on node with checkpointed (budget=32)",
    ]
    pairs = mode_pairs([base, *others])
    assert pairs == [(each, base) for each in others]
    assert ModeRow(*pairs[0], None).mode == "checkpointed (budget=8)"


def test_problems_of_other_options_are_other_settings():
    cells = [a_cell(with_options(problem__width=n)) for n in (8, 32)]
    assert len(settings(cells)) == 2
    assert [OPTIONS.show(each).text for each in cells] == ["problem.width = 8", "problem.width = 32"]
