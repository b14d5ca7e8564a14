"""The columns of all cells that the explorer reads: nothing is lost, rounded away or made up."""

import hashlib
import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import reports
from reports.page import VENDORED
from reports.views.every_cell import EveryCell, every_cell
from results.statistics.ratio import Ratio
from tests.support.made import RK4, a_cell

VENDOR = Path(reports.__file__).parent / "static" / "vendor"


def column(found: EveryCell, name: str) -> list[Any]:
    values = found.columns[name]
    return [values["texts"][place] for place in values["places"]] if isinstance(values, dict) else list(values)


def test_every_cell_has_its_axes_and_numbers_in_their_columns() -> None:
    cells = [
        a_cell(RK4, error=1.23456789e-7, nfe_forward=40.0, forward_s=0.5),
        a_cell(replace(RK4, solver="dopri5", dt=None, rtol=1e-3, atol=1e-6), error=math.inf),
    ]
    found = every_cell(cells)
    assert column(found, "solver") == ["rk4", "dopri5"]
    assert column(found, "rtol") == [None, 1e-3]
    assert column(found, "error") == [1.23457e-7, None]
    assert column(found, "nfe_forward") == [40.0, None]
    assert column(found, "key") == [each.key for each in cells]
    assert found.same["problem"] == "cosine"
    assert {each.name: each.unit for each in found.fields}["forward_s"] == "s"
    json.dumps(found.as_json(), allow_nan=False)


def test_the_interval_of_a_time_is_that_of_its_ratio_to_the_control() -> None:
    timed = replace(a_cell(forward_s=2.0), ratios={"forward_s": Ratio(4.0, 3.0, 6.0, pairs=10)})
    alone = a_cell(replace(RK4, solver="euler"), forward_s=1.0)
    found = every_cell([timed, alone])
    assert column(found, "forward_s_low") == [1.5, None]
    assert column(found, "forward_s_high") == [3.0, None]


def test_an_option_is_an_axis() -> None:
    wide = replace(RK4, options='{"problem.width":256}')
    assert column(every_cell([a_cell(RK4), a_cell(wide)]), "problem.width") == [None, 256]


def test_the_libraries_are_those_of_the_manifest() -> None:
    listed = tomllib.loads((VENDOR / "vendor.toml").read_text())["library"]
    assert [Path(each["file"]).name for each in listed] == list(VENDORED)
    for each in listed:
        code = (VENDOR / Path(each["file"]).name).read_bytes()
        assert hashlib.sha256(code).hexdigest() == each["sha256"], each["name"]
        assert b"Redistribution" in (VENDOR / f"{each['name']}.LICENSE").read_bytes()
        assert b"</script" not in code.lower()
