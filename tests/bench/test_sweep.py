"""Sweep files: read, checked as a whole, and expanded into cells."""

from pathlib import Path

import pytest

from bench.failure import UsageError
from bench.sweep.file import load_sweep, shipped
from results.records import Goal

GRID = """
[[grid]]
problem = "spiral"
backend = "node"
solver = "dopri5"
"rtol,atol" = [[1e-3, 1e-6], [1e-5, 1e-8]]
"""


@pytest.fixture
def sweep_file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


def test_a_grid_is_the_full_product_of_its_axes(sweep_file):
    sweep = load_sweep(sweep_file(GRID + 'gradient = ["none", "backprop", "adjoint"]\nhorizon = [1.0, 2.0]\n'))
    assert len(sweep.planned) == 2 * 3 * 2
    assert {(planned.cell.rtol, planned.cell.atol) for planned in sweep.planned} == {(1e-3, 1e-6), (1e-5, 1e-8)}


def test_any_axes_may_go_together(sweep_file):
    sweep = load_sweep(
        sweep_file(GRID.replace('problem = "spiral"', '"problem,horizon" = [["spiral", 1.0], ["lorenz", 0.5]]'))
    )
    assert {(planned.cell.problem, planned.cell.horizon) for planned in sweep.planned} == {
        ("spiral", 1),
        ("lorenz", 0.5),
    }


def test_an_axis_that_a_grid_leaves_out_has_the_problems_value_or_the_default(sweep_file):
    cell = load_sweep(sweep_file(GRID)).planned[0].cell
    assert (cell.horizon, cell.n_outputs, cell.gradient, cell.device) == (1.5, 11, "none", "cpu")


def test_an_integer_where_a_float_belongs_makes_the_same_cell(sweep_file):
    one = load_sweep(sweep_file(GRID + "horizon = 2\n")).planned[0].cell
    other = load_sweep(sweep_file(GRID + "horizon = 2.0\n")).planned[0].cell
    assert one.key == other.key


def test_a_goal_holds_for_every_study_of_the_sweep_and_of_included_sweeps(sweep_file):
    sweep = load_sweep(sweep_file('include = ["adaptive"]\n[goal]\nerror = 1e-5\n' + GRID))
    assert sweep.goals == {"mine": Goal(error=1e-5), "adaptive": Goal(error=1e-5)}
    assert load_sweep(sweep_file(GRID)).goals == {}
    assert set(sweep.exact_enough().values()) == {1e-5}


@pytest.mark.parametrize(
    "goal",
    [
        "error = 0",
        "error = inf",
        "gradient_error = -1",
        'loss = "small"',
        "los = 1",
        "loss = 0.3",
        "gradient_error = 1.0",
    ],
)
def test_a_goal_that_is_invalid_or_cannot_be_reached_is_refused(sweep_file, goal):
    with pytest.raises(UsageError):
        load_sweep(sweep_file(f"[goal]\n{goal}\n{GRID}"))


def test_the_study_is_the_files_name_or_what_the_file_says(sweep_file):
    assert load_sweep(sweep_file(GRID)).planned[0].study == "mine"
    assert load_sweep(sweep_file('study = "adaptive"\n' + GRID)).planned[0].study == "adaptive"


def test_the_default_sweep_is_the_union_of_the_four_studies():
    parts = [planned for name in ("solvers", "spiral", "adaptive", "adjoint") for planned in load_sweep(name).planned]
    default = load_sweep("default")
    assert default.planned == tuple(parts)
    for name in ("solvers", "spiral", "adaptive", "adjoint"):
        assert shipped()[name].read_text() in default.text


def test_every_study_has_both_backends_and_both_devices():
    for name in ("solvers", "spiral", "adaptive", "adjoint"):
        cells = [planned.cell for planned in load_sweep(name).planned]
        assert {(cell.backend, cell.device) for cell in cells} == {
            (backend, device) for backend in ("node", "torchdiffeq") for device in ("cpu", "cuda")
        }


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_sweep_loads_and_has_no_cell_twice_in_a_study(name):
    sweep = load_sweep(name)
    assert len({(planned.study, planned.cell.key) for planned in sweep.planned}) == len(sweep.planned)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = [", "mine.toml: not TOML"),
        ("titel = 'x'\n" + GRID, "mine.toml: unknown key 'titel'. Did you mean 'title'?"),
        ("[measure]\nround = 3\n" + GRID, "mine.toml: unknown key 'round'. Did you mean 'rounds'?"),
        ("[measure]\nrounds = 0\n" + GRID, "mine.toml: measure.rounds: 0 does not do"),
        ("[measure]\nrounds = 'five'\n" + GRID, "mine.toml: measure.rounds: 'five' does not do"),
        ("title = 'empty'", "mine.toml: no cell"),
        ("include = ['solver']", "mine.toml: include: unknown sweep 'solver'. Did you mean 'solvers'?"),
        ("include = ['default']", "mine.toml: include: 'default' includes others"),
        (GRID.replace("dopri5", "dopri55"), "grid 1, solver: unknown solver 'dopri55'. Did you mean 'dopri5'? Known:"),
        (GRID.replace('"spiral"', '"spirall"'), "grid 1, problem: unknown problem 'spirall'. Did you mean 'spiral'?"),
        (GRID.replace('"node"', '"nod"'), "grid 1, backend: unknown backend 'nod'. Did you mean 'node'?"),
        (GRID + "gradient = 'backpropagation'", "grid 1, gradient: unknown gradient 'backpropagation'"),
        (GRID + "device = 'cuda:x'", "grid 1, device: unknown device 'cuda:x'"),
        (GRID + "dtype = 'float16'", "grid 1, dtype: unknown dtype 'float16'"),
        (GRID + "horizont = 1.0", "grid 1, unknown axis 'horizont'. Did you mean 'horizon'?"),
        (GRID + "horizon = -1.0", "grid 1, horizon: -1.0 does not do"),
        (GRID + "horizon = nan", "grid 1, horizon: nan does not do"),
        (GRID + "horizon = true", "grid 1, horizon: True does not do"),
        (
            GRID + "'solver.safety' = [0.9, 5.0]",
            "grid 1, solver.safety = 5.0: PIDController: safety is 5.0 and",
        ),
        (
            GRID + "gradient = 'checkpointed'\n'gradient.budget' = 0",
            "grid 1, gradient.budget = 0: Checkpointed: ",
        ),
        (GRID + "seed = 1.5", "grid 1, seed: 1.5 does not do"),
        (GRID + "n_outputs = 1", "grid 1, n_outputs: 1 does not do"),
        (GRID + "threads = []", "grid 1, threads: an empty list makes no cell"),
        (GRID + "dt = 0.1", "grid 1, solver: dt and rtol exclude each other"),
        (GRID + "rtol = 1e-3", "grid 1, rtol: given twice"),
        (GRID + "iterations = 3", "grid 1, solver: iterations without a gradient"),
        (GRID + "iterations = 3\ngradient = 'adjoint'", "grid 1, solver: spiral is not trained"),
        (GRID.replace("dopri5", "euler"), "grid 1, solver: euler gives no error estimate: give dt instead"),
        (GRID.replace('"rtol,atol" = [[1e-3, 1e-6], [1e-5, 1e-8]]', ""), "grid 1, solver: dopri5 has no step"),
        (GRID.replace("[1e-3, 1e-6]", "[1e-3]"), "grid 1, rtol,atol: [0.001] does not do: each choice is a list of 2"),
        (GRID.replace("[[1e-3, 1e-6], [1e-5, 1e-8]]", "[[0, 0]]"), "grid 1, solver: rtol and atol are both 0"),
        (GRID.replace('solver = "dopri5"\n', ""), "grid 1, solver: missing"),
    ],
)
def test_a_wrong_sweep_is_answered_in_one_line_with_file_and_key(sweep_file, text, said):
    with pytest.raises(UsageError) as raised:
        load_sweep(sweep_file(text))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["defualt", "no/such/file.toml", "pyproject", str(Path(__file__))])
def test_an_unknown_sweep_is_answered_with_the_shipped_sweeps(name):
    with pytest.raises(UsageError, match=r"unknown sweep .*default"):
        load_sweep(name)


def test_a_sweep_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml: cannot be read"):
        load_sweep(str(path))
