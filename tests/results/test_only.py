"""The filter of `--only`: its syntax, its refusals, and the same answer from a database and from Python."""

import math
import random

import pytest

from results import Where
from results.read.only import FilterError, check, choose, matches, parse
from results.records import Cell, Planned
from results.store import Store
from tests.support.stocked import CELLS, a_run

VALUES = {
    "problem": ["spiral", "cosine", "a b", "it's"],
    "backend": ["node", "torchdiffeq"],
    "solver": ["euler", "dopri5", "Dopri5", "test_solve[1, 2]"],
    "horizon": [1.0, 25.5, 1e-6],
    "n_outputs": [2, 100],
    "rtol": [None, 1e-6, 1e-7],
    "atol": [None, 0.0, 1e-9],
    "dt": [None, 0.1, 0.05],
    "gradient": ["none", "adjoint"],
    "seed": [0, 1, 2**31 - 1],
    "optimiser": ["", "Adam"],
    "learning_rate": [None, 1e-3],
    "evaluate": ["", "euler dt=0.1; dopri5 rtol=1e-6 atol=1e-8"],
}


def random_cell(draw: random.Random) -> Cell:
    return Cell(**{name: draw.choice(values) for name, values in VALUES.items()})


def written(draw: random.Random, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"' if "'" in value else f"'{value}'"
    return draw.choice([repr(value), f"{value:.17e}", f"{value:f}" if value == round(value, 6) else repr(value)])


def random_filter(draw: random.Random, cells: list[Cell]) -> str:
    parts = []
    for name in draw.sample(list(VALUES), draw.randint(0, 3)):
        values = draw.sample(VALUES[name], draw.randint(1, len(VALUES[name])))
        parts.append(f"{name}={','.join(written(draw, value) for value in values)}")
    if not parts or draw.random() < 0.3:
        keys = [draw.choice(cells).key[: draw.randint(1, 16)] for _ in range(draw.randint(1, 4))]
        parts.append(f"key={','.join(keys)}")
    return " ".join(parts)


def test_a_database_and_python_choose_the_same_cells(url):
    draw = random.Random(0)
    cells = list({cell.key: cell for cell in (random_cell(draw) for _ in range(80))}.values())
    met = 0
    with Store.open(url, create=True) as store:
        store.begin(a_run("a"), [Planned("solvers", cell) for cell in cells])
        for _ in range(150):
            where = parse([random_filter(draw, cells) for _ in range(draw.choice([1, 1, 2]))][:1])
            chosen = {cell.key for cell in cells if matches(where, cell)}
            assert set(store.cells(where)["key"]) == chosen, where
            met += bool(chosen)
            assert refusal(check, store.database, where) == refusal(choose, where, cells)
    assert met > 50


def refusal(ask, *arguments) -> str:
    try:
        ask(*arguments)
    except FilterError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        (["solver=dopri5,tsit5 device=cpu"], Where(solver=["dopri5", "tsit5"], device=["cpu"])),
        (["  rtol=0.000001,1e-3\tseed=1e2,7 "], Where(rtol=[1e-6, 1e-3], seed=[100, 7])),
        (["key=9CB6"], Where(key_start=["9cb6"])),
        (["optimiser='' evaluate=\"euler dt=0.1, x\""], Where(optimiser=[""], evaluate=["euler dt=0.1, x"])),
        (["gradient=none"], Where(gradient=["none"])),
        (["optimiser=none,Adam"], Where(optimiser=["", "Adam"])),
        (["solver=a,b", "solver=b,c dt=0.1"], Where(solver=["b"], dt=[0.1])),
        (["key=9,8", "key=9c"], Where(key_start=["9c"])),
    ],
    ids=str,
)
def test_a_filter_lists_the_values_that_each_field_may_have(texts, where):
    assert parse(texts) == where


def test_none_chooses_the_cells_without_a_value():
    (dt,) = parse(["dt=none"]).dt
    assert math.isnan(dt)
    assert matches(parse(["dt=none", "dt=none,0.1"]), CELLS[1])
    assert not matches(parse(["dt=none"]), CELLS[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dopri5", r"'dopri5' is no condition: write field=value"),
        ("solver = dopri5", r"'solver' is no condition"),
        ("solver=dopri5, tsit5", r"'solver=dopri5,' is no condition"),
        ("solver=", r"'solver=' is no condition"),
        ("solver='dopri5", r"is no condition"),
        ("", r"an empty filter: write field=value"),
        ("seed=x", r"seed=x: seed is a whole number: write such a value"),
        ("seed=1.5", r"seed=1\.5: seed is a whole number"),
        ("seed=99999999999999999999", r"no database holds so large a number"),
        ("seed=" + "9" * 5000, r"seed is a whole number"),
        ("rtol=tight", r"rtol=tight: rtol is a number, or none: write such a value"),
        ("dt=nan", r"dt=nan: dt is a number, or none"),
        ("dt=1" + "0" * 400, r"dt is a number, or none"),
        ("seed=1_0", r"seed=1_0: seed is a whole number: write such a value"),
        ("horizon=none", r"horizon=none: horizon is a number: write such a value"),
        ("key=xyz", r"key=xyz: a key is at most 16 hexadecimal digits"),
        ("solver=\udcff", r"no database holds such a text"),
        ("solver=euler solver=rk4", r"no cell has solver='euler' and solver='rk4': write solver=\.\.\., with commas"),
    ],
)
def test_an_invalid_filter_is_refused_in_one_line(text, said):
    with pytest.raises(FilterError, match=rf"^only: .*{said}") as caught:
        parse([text])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "solvr=dopri5",
            "unknown field 'solvr'. Did you mean 'solver'? Known: key, problem, backend, solver, horizon, n_outputs, "
            "rtol, atol, dt, gradient, batch_size, dtype, device, threads, seed, iterations, optimiser, learning_rate, "
            "evaluate",
        ),
        ("solver=dopri55", r"no cell has solver='dopri55'. Did you mean 'dopri5'? There are: 'dopri5', 'euler'"),
        ("solver=dopri5,rk4", r"no cell has solver='rk4'. There are: 'dopri5', 'euler'"),
        ("dt=0.2", r"no cell has dt=0.2. There are: 0.1, none"),
        ("rtol=none,1e-6 dt=1", r"no cell has rtol=1e-06. There are: 1e-05, none"),
        ("learning_rate=0.1", r"no cell has learning_rate=0.1. There are: none"),
        ("key=0", r"no cell has key='0'. There are 3 keys: nodebench plan SWEEP and nodebench show print them"),
        (
            "solver=dopri5 dt=0.1",
            "no cell meets all of solver='dopri5' dt=0.1, though each is met by some: leave one out",
        ),
    ],
)
def test_a_value_that_no_cell_has_is_named_with_the_nearest_and_the_known_values(url, text, said):
    with Store.open(url, create=True) as store:
        store.begin(a_run("a"), [Planned("solvers", cell) for cell in CELLS])
        assert refusal(check, store.database, parse([text])) == f"only: {said}"
    assert refusal(choose, parse([text]), CELLS) == f"only: {said}"


def test_a_condition_on_trials_is_refused_for_a_cell():
    with pytest.raises(ValueError, match="a cell cannot be chosen by status='ok'"):
        matches(Where(status="ok"), CELLS[0])
