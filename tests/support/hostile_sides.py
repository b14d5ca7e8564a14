"""Two sides whose every text is hostile: markup, script ends, formulas, marks of direction, a terminal's commands."""

from dataclasses import fields, replace

from results.records import Cell, Environment
from results.store import Store
from results.tools import baselines, sides
from tests.support.two_sides import MINE, Measured, record

MARKS = "\u202e\u2066\u200f"  # an override from right to left, an isolate, a mark
EVIL = (
    f"</script><script>alert(1)</script>`| [a](http://x) @you #1 *b* <!-- {MARKS}\n\r\x1b[31m\x9b1m &lt; \"'{{{{7}}}}"
)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "＝1")
TEXTS = [each.name for each in fields(Cell) if each.type is str and each.name != "options"]


def hostile_sides(store: Store) -> tuple[sides.Side, sides.Side]:
    """A baseline, and a run in which one cell fails, those with formulas are worse, one is gone and one is new."""
    evil = {name: f"={EVIL} {name}" for name in TEXTS}
    bad, gone, new = (replace(MINE, **evil, seed=seed) for seed in (1, 2, 3))
    formulas = [replace(MINE, problem=formula) for formula in FORMULAS]
    every = {**{each: Measured(metrics={"error": 1.0}) for each in formulas}, gone: Measured(metrics={"error": 1.0})}
    record(
        store, f"a{EVIL}", {bad: Measured(metrics={"error": 1.0}), **every}, revision=f"a{EVIL}", sweep=EVIL,
        environment=Environment({"cpu": f"a{EVIL}", f"name{EVIL}": "here"}),
    )  # fmt: skip
    baselines.keep(store, f"kept {EVIL}")
    worse = {each: Measured(metrics={"error": 2.0}) for each in (*formulas, new)}
    record(
        store, f"b{EVIL}", {bad: Measured(status="error", reason=f"={EVIL}"), **worse}, revision=f"b{EVIL}",
        environment=Environment({"cpu": f"b{EVIL}"}),
    )  # fmt: skip
    return sides.named(store, f"kept {EVIL}"), sides.named(store, f"run:b{EVIL}")
