"""Options of a cell, which its problem, library or solver declare: stored, asked for by name, compared by value."""

import json
import math
from dataclasses import replace

import pytest

from results import Where
from results.engine.location import AskedError, StoreError
from results.read.only import FilterError, check, choose, matches, parse
from results.records import Planned, canonical
from results.store import Store
from results.tools.export import export
from results.tools.merge import merge
from tests.support.one_run import EULER, timing
from tests.support.stocked import a_run

OPTIONS = [
    {},
    {"problem.width": 64},
    {"problem.width": 256, "problem.activation": "tanh"},
    {"problem.width": 64.0, "gradient.budget": 8},
    {"problem.width": "64"},
    {"batching": True},
    {"batching": 1},
    {"batching": False, "problem.scale": 1e-05},
    {"problem.activation": 'it\'s "größer"', "batching": None},
]
CELLS = [replace(EULER, options=canonical(options)) for options in OPTIONS]


def test_cells_without_options_keep_their_key_and_other_options_give_other_keys():
    assert CELLS[0] == EULER
    assert CELLS[0].key == EULER.key
    assert len({cell.key for cell in CELLS}) == len(CELLS)


def test_only_the_options_of_the_problem_separate_blocks():
    def block(**options):
        return replace(
            EULER, options=canonical({name.replace("_", "."): value for name, value in options.items()})
        ).block

    assert block(gradient_budget=8, batching=True) == EULER.block
    assert block(problem_width=64, batching=True) == block(problem_width=64) != EULER.block
    assert block(problem_width=64) != block(problem_width=65)


def test_a_label_contains_the_options():
    assert CELLS[2].label.endswith(' problem.activation="tanh" problem.width=256')
    assert CELLS[0].label == EULER.label


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        opened.begin(a_run("run"), [Planned("solvers", cell) for cell in CELLS])
        for cell in CELLS:
            opened.record("run", timing(cell))
        yield opened


NAN = math.nan
ASKED = [
    ({"problem.width": 64}, [1, 3]),
    ({"problem.width": 64.0}, [1, 3]),
    ({"problem.width": [64, 256]}, [1, 2, 3]),
    ({"problem.width": "64"}, [4]),
    ({"problem.width": [64, "64"]}, [1, 3, 4]),
    ({"problem.width": NAN}, [0, 5, 6, 7, 8]),
    ({"problem.width": [NAN, 256]}, [0, 2, 5, 6, 7, 8]),
    ({"batching": True}, [5]),
    ({"batching": 1}, [6]),
    ({"batching": [False, 1]}, [6, 7]),
    ({"batching": NAN}, [0, 1, 2, 3, 4, 8]),
    ({"problem.scale": 1e-5}, [7]),
    ({"problem.activation": "tanh", "problem.width": 256}, [2]),
    ({"problem.activation": 'it\'s "größer"'}, [8]),
    ({"problem.activation": None}, [*range(9)]),
    ({"problem.width": []}, []),
]


@pytest.mark.parametrize(("options", "found"), ASKED, ids=str)
def test_an_option_chooses_the_same_cells_in_a_database_and_in_python(store, options, found):
    where, keys = Where(options=options), {CELLS[index].key for index in found}
    assert set(store.cells(where)["key"]) == keys
    assert {cell.key for cell in CELLS if matches(where, cell)} == keys
    for frame in ("planned", "summary", "trials", "samples"):
        assert set(getattr(store, frame)(where)["cell_key"]) == keys


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("problem.width=64", [1, 3]),
        ("problem.width=64,256", [1, 2, 3]),
        ("problem.width='64'", [4]),
        ("problem.width=64 problem.width=64.0,256", [1, 3]),
        ("batching=true", [5]),
        ("batching=1,false", [6, 7]),
        ("batching=none problem.width=none", [0, 8]),
        ("problem.scale=0.00001", [7]),
        ("problem.activation=tanh solver=euler", [2]),
    ],
)
def test_a_filter_takes_an_option_by_its_name(store, text, found):
    where = parse([text])
    assert [CELLS.index(cell) for cell in choose(where, CELLS)] == found
    check(store.database, where)
    assert set(store.cells(where)["key"]) == {CELLS[index].key for index in found}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "problem.widht=64",
            "no cell has an option 'problem.widht'. Did you mean 'problem.width'? There are: batching,",
        ),
        ("baching=true", "unknown field 'baching'. Did you mean 'batching'? Known: key, problem,"),
        ("problem.width=65", "no cell has problem.width=65. There are: 64, 64.0, 256, '64', none"),
        ("problem.activation=tan", "no cell has problem.activation='tan'. Did you mean 'tanh'? There are: "),
        ("batching=true problem.width=64", "no cell meets all of batching=true problem.width=64, though each is met"),
    ],
)
def test_an_option_that_no_cell_has_is_answered_with_the_nearest(store, text, said):
    for ask, among in ((check, store.database), (choose, CELLS)):
        with pytest.raises(FilterError) as caught:
            ask(among, parse([text])) if ask is check else ask(parse([text]), among)
        assert str(caught.value).startswith(f"only: {said}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["problem..width=1", ".=1", "1a=1", "problem.=2"])
def test_an_invalid_name_of_an_option_is_refused(text):
    with pytest.raises(FilterError, match=r"^only: "):
        parse([text])


@pytest.mark.parametrize(
    "options", [{"a b": 1}, {"": 1}, {3: 1}, {"a": [1j]}, {"a": {}}, {"a": 2**63}, {"a": "\0"}, {"a": b"x"}, "a=1"]
)
def test_an_invalid_option_is_refused(options):
    with pytest.raises(AskedError):
        Where(options=options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "json"),
        ("[]", "a JSON object"),
        ('{"b":1,"a":1}', "sorted names"),
        ('{"a": 1}', "no spaces"),
        ('{"a":1,"a":1}', "sorted names"),
        ('{"a":[1]}', "a should be a number below"),
        ('{"a":{}}', "a should be a number below"),
        ('{"a":NaN}', "out of range"),
        ('{"a":9223372036854775808}', "a should be a number below"),
        ('{"a b":1}', "should be a name"),
        ('{"seed":1}', "seed should be a name of its own"),
        ('{"a":"\\u0000"}', "zero byte"),
        ('{"a":"\\ud800"}', "surrogates"),
        ("[" * 100_000, "characters"),
    ],
)
def test_options_that_break_the_rule_are_refused_on_both_engines(url, options, said):
    with Store.open(url, create=True) as store:
        with pytest.raises(StoreError, match="options = ") as refused:
            store.begin(a_run("run"), [Planned("solvers", replace(EULER, options=options))])
        assert said.lower() in str(refused.value).lower()
        assert store.cells().empty


def test_options_are_merged_exported_and_backed_up_as_they_are(store, tmp_path):
    with Store.open(tmp_path / "other.db", create=True) as other:
        merge(other, store)
        assert other.cells().equals(store.cells())
        assert other.summary()["options"].equals(store.summary()["options"])
        export(other, tmp_path / "cells.jsonl", frame="cells")
    rows = map(json.loads, (tmp_path / "cells.jsonl").read_text(encoding="utf-8").splitlines())
    assert {row["key"]: row["options"] for row in rows} == {cell.key: cell.options for cell in CELLS}
    assert all(store.cell(cell.key) == cell for cell in CELLS)
