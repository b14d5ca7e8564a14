"""Validation of sweeps: odd numbers and files give a plan or one line, and what is accepted can be measured."""

import os
import re
from pathlib import Path

import pytest

from bench.backends import BACKENDS
from bench.failure import UsageError
from bench.machine import crowding
from bench.run.run_trial import run_trial
from bench.sweep.axes import AXES, names
from bench.sweep.file import load_sweep
from bench.sweep.measure import Measure
from bench.worker.task import Task
from tests.support.small_runs import CELL, run, sweep_of

GRID = """[[grid]]
problem = "spiral"
backend = "node"
solver = "dopri5"
"rtol,atol" = [[1e-3, 1e-6]]
"""
FIXED = '[[grid]]\nproblem = "spiral"\nbackend = "node"\nsolver = "euler"\n'
TRAINED = GRID.replace("spiral", "spiral_net") + 'gradient = "backprop"\niterations = 2\n'
NUMBERS = (
    "inf", "-inf", "nan", "-nan", "0", "-0.0", "-1", "1e308", "-1e308", "1e-308", "5e-324", "1e30", "1e-30", "1e999",
    "9" * 400, "-" + "9" * 400, "9" * 5000, "0x" + "f" * 5000, "2147483647", "2147483648", "9223372036854775808",
    "999999999",
)  # fmt: skip
OTHERS = (
    "true",
    "1979-05-27",
    "07:32:00",
    "1979-05-27T07:32:00Z",
    '""',
    '"\\u0000"',
    '"1"',
    "[]",
    "[[]]",
    "{}",
    "{a = 1}",
)
EXTREME = {
    "rtol": "1e-30", "atol": "1e30", "dt": "1.5e6", "horizon": "[1e-30, 1e30]", "n_outputs": "[2, 4194305]",
    "batch_size": "2147483647", "threads": "1024", "seed": "2147483647", "iterations": "2147483647",
    "learning_rate": "[1e-30, 1e30]", "evaluate": '"euler dt=2e5; dopri5 rtol=1e-30 atol=1e30"',
}  # fmt: skip


def loaded(path: Path, text: str | bytes) -> int | str:
    """The number of cells that the sweep plans, or the line that refuses it."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        return len(load_sweep(str(path)).planned)
    except UsageError as error:
        said = str(error)
        assert said.isprintable()
        assert len(said) < 600
        assert said.startswith(path.name)
        return said


def with_axis(axis: str, value: str) -> str:
    """The text of a sweep of one cell, with this value of the axis."""
    if axis in ("learning_rate", "evaluate", "optimiser", "iterations"):
        return re.sub(rf"(?m)^{axis} = .*\n", "", TRAINED) + f"{axis} = {value}\n"
    if axis == "dt":
        return FIXED + f"dt = {value}\n"
    if axis in ("rtol", "atol"):
        other = "atol" if axis == "rtol" else "rtol"
        return GRID.replace('"rtol,atol" = [[1e-3, 1e-6]]', f"{axis} = {value}\n{other} = 1e-3")
    return re.sub(rf"(?m)^{axis} = .*\n", "", GRID) + f"{axis} = {value}\n"


@pytest.mark.parametrize("value", [*NUMBERS, *OTHERS], ids=lambda value: value[:12])
@pytest.mark.parametrize("key", Measure.model_fields)
def test_any_value_of_a_key_of_measure_gives_a_plan_or_one_line(tmp_path, key, value):
    found = loaded(tmp_path / "mine.toml", f"[measure]\n{key} = {value}\n{GRID}")
    assert found == 1 or key in str(found) or "not TOML" in str(found)


@pytest.mark.parametrize("value", [*NUMBERS, *OTHERS], ids=lambda value: value[:12])
@pytest.mark.parametrize("axis", AXES)
def test_any_value_of_an_axis_gives_a_plan_or_one_line(tmp_path, axis, value):
    found = loaded(tmp_path / "mine.toml", with_axis(axis, value))
    assert found == 1 or axis in str(found) or "not TOML" in str(found)
    joint = loaded(
        tmp_path / "mine.toml", with_axis("seed", "1").replace("seed = 1", f'"seed,{axis}" = [[1, {value}]]')
    )
    assert joint == 1 or "mine.toml" in str(joint)


@pytest.mark.parametrize("value", [value for value in NUMBERS if "0x" not in value], ids=lambda value: value[:12])
@pytest.mark.parametrize("name", ["dt", "rtol", "atol"])
def test_any_number_in_evaluate_gives_a_plan_or_one_line(tmp_path, name, value):
    evaluation = f"euler dt={value}" if name == "dt" else f"dopri5 rtol=1e-3 atol=1e-3 {name}={value}"
    evaluation = evaluation.replace(f"{name}=1e-3 ", "", 1) if name != "dt" else evaluation
    found = loaded(tmp_path / "mine.toml", TRAINED + f'evaluate = "{evaluation}"\n')
    assert found == 1 or "evaluate" in str(found) or "dt = " in str(found)


def test_numbers_that_are_equal_make_one_cell(tmp_path):
    assert loaded(tmp_path / "mine.toml", with_axis("rtol", "[0, 0.0, -0.0]")) == 1


def test_a_step_that_makes_too_many_steps_is_refused(tmp_path):
    assert "1.5e+15 steps" in str(loaded(tmp_path / "mine.toml", FIXED + "dt = 1e-15\n"))
    assert "steps" in str(loaded(tmp_path / "mine.toml", TRAINED + 'evaluate = "euler dt=1e-15"\n'))


def test_a_step_far_beyond_the_horizon_is_refused(tmp_path):
    """torchdiffeq asserts that its first step ends before the last time, in rounded numbers."""
    assert "far beyond the horizon" in str(loaded(tmp_path / "mine.toml", FIXED + "dt = 1e30\n"))
    assert loaded(tmp_path / "mine.toml", FIXED + "dt = 3.0\n") == 1


def test_output_times_that_rounding_makes_equal_are_refused(tmp_path):
    assert "float32 tells at most 4194305" in str(loaded(tmp_path / "mine.toml", GRID + "n_outputs = 4194306\n"))
    assert loaded(tmp_path / "mine.toml", GRID + 'n_outputs = 4194306\ndtype = "float64"\n') == 1


def test_more_samples_or_outputs_than_a_problems_data_have_are_refused(tmp_path):
    """A batch of more initial values than the data have would silently be smaller."""
    for axis, most in (("batch_size", 991), ("n_outputs", 11)):
        assert loaded(tmp_path / "mine.toml", TRAINED + f"{axis} = {most}\n") == 1
        assert f"has at most {most}" in str(loaded(tmp_path / "mine.toml", TRAINED + f"{axis} = {most + 1}\n"))


def test_a_huge_grid_is_counted_and_refused_before_it_is_expanded(tmp_path):
    axes = ("seed", "n_outputs", "batch_size", "horizon", "threads")
    grid = GRID + "".join(f"{axis} = {list(range(2, 600))}\n" for axis in axes)
    assert "7.65e+13 cells: a sweep has at most 1,000,000" in str(loaded(tmp_path / "mine.toml", grid))
    assert loaded(tmp_path / "mine.toml", GRID + f"seed = {list(range(2000))}\n") == 2000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mark.toml", b"\xef\xbb\xbf" + GRID.encode()),
        ("windows.toml", GRID.replace("\n", "\r\n").encode()),
        ("mac.toml", GRID.replace("\n", "\r").encode()),
        ("MINE.TOML", GRID.encode()),
    ],
)
def test_a_sweep_from_another_system_is_the_same_sweep(tmp_path, name, content):
    assert loaded(tmp_path / name, content) == 1
    (tmp_path / "plain.toml").write_text(GRID)
    assert load_sweep(str(tmp_path / name)).text == GRID
    assert [one.cell for one in load_sweep(str(tmp_path / name)).planned] == [
        one.cell for one in load_sweep(str(tmp_path / "plain.toml")).planned
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no cell"),
        (GRID.encode("utf-16"), "no UTF-8 text"),
        (GRID.encode("utf-16-le"), "not TOML"),
        (GRID.encode() + b"\0", "not TOML"),
        (GRID.encode() + b"#" * 2**20, "more than 1 MiB"),
        (GRID.encode() + b"dt = " + b"[" * 100_000, "not TOML"),
        (GRID.encode() + b"dt = " + b"{a=" * 3_000, "not TOML"),
        (GRID.encode() + b"dt." + b".".join([b"a"] * 50_000) + b" = 1", "set apart by dots"),
        (GRID.encode() + b"".join(b'"' + b" " * n + b'rtol" = [1, 2]\n' for n in range(1_000)), "given twice"),
        (GRID.replace("spiral", "s" * 500_000).encode(), "unknown problem"),
        (b'study = "a\\nb"\n' + GRID.encode(), "one line"),
        (b"title = '" + b"x" * 300 + b"'\n" + GRID.encode(), "one line"),
        (b"include = [" + b"'solvers'," * 80_000 + b"'nonsense']", "unknown sweep"),
    ],
    ids=range(13),
)
def test_a_file_that_is_no_sweep_is_refused_at_once(tmp_path, content, said):
    assert said in str(loaded(tmp_path / "mine.toml", content))


def test_a_folder_a_pipe_or_a_name_too_long_is_refused(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    for name, said in (
        ("folder.toml", "is a folder"),
        ("pipe.toml", "a .toml file"),
        ("x" * 300 + ".toml", "too long"),
    ):
        with pytest.raises(UsageError, match=said):
            load_sweep(str(tmp_path / name))


def test_a_sweep_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.toml").write_text(GRID)
    assert len(load_sweep("~/mine.toml").planned) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis", EXTREME)
def test_an_extreme_value_that_is_accepted_can_be_measured(tmp_path, axis, backend):
    """The trial may time out or diverge, which is a result; it may not end with an error of the harness or a crash."""
    text = with_axis(axis, EXTREME[axis]).replace('"node"', f'"{backend}"')
    assert isinstance(loaded(tmp_path / "mine.toml", text), int)
    for one in load_sweep(str(tmp_path / "mine.toml")).planned:
        kind = "training" if one.cell.iterations else "counts"
        trial = run_trial(Task(cell=one.cell, kind=kind, timeout_s=4.0, memory_bytes=2**30)).trial
        assert trial.status not in ("error", "crashed"), (trial.reason, trial.log_tail)


def test_every_numeric_axis_has_an_extreme_value():
    assert set(EXTREME) >= {axis for axis in AXES if not names(axis)} - {"device", "optimiser"}


LEAST = Measure(
    processes=1, max_processes=1, rounds=1, sampling_s=5e-324, precision=1e-6, max_s=5e-324, cut_ratio=1.0000001,
    timeout_s=60.0, memory_gib=0.5,
)  # fmt: skip
MOST = Measure(
    processes=1, max_processes=100, rounds=3, sampling_s=604_800, precision=0.9999, max_s=604_800.0, cut_ratio=1e9,
    timeout_s=604_800.0, memory_gib=2.0**20,
)  # fmt: skip


@pytest.mark.parametrize("measure", [LEAST, MOST], ids=["least", "most"])
def test_a_sweep_with_extreme_measure_settings_is_measured(store, measure):
    assert run(store, sweep_of(CELL, measure=measure))
    assert set(store.trials()["status"]) == {"ok"}


def test_almost_no_time_is_a_timeout_and_almost_no_memory_is_out_of_memory(store):
    none = {"timeout_s": 5e-324, "memory_gib": 5e-324}
    assert run(store, sweep_of(CELL, measure=LEAST.model_copy(update=none)))
    assert set(store.trials()["status"]) <= {"timeout", "out_of_memory"}


def test_plan_warns_of_more_threads_than_cores(tmp_path, call, monkeypatch):
    monkeypatch.setattr(crowding, "allowed", lambda: 2)
    (tmp_path / "mine.toml").write_text(GRID + "threads = [1, 2, 3, 64]\n")
    code, _, err = call("plan", str(tmp_path / "mine.toml"), "--db", str(tmp_path / "bench.db"))
    assert code == 0
    assert "1 cell with threads = 3, 1 cell with threads = 64, where this process may use 2 cores" in err
    assert err.count("\n") == 1
