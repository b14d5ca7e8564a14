"""The programs of docs/examples/torchdiffeq give the same results with node as with torchdiffeq."""

import re
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.support.places import EXAMPLES

FOLDER = EXAMPLES / "torchdiffeq"
SIZES = {
    "ode_demo": "--iterations 6 --every 3 --points 300",
    "latent_ode": "--iterations 3 --count 30 --points 15",
    "cnf": "--iterations 2 --samples 32 --width 8 --hidden 8",
    "bouncing_ball": "--bounces 2",
    "learn_physics": "--iterations 3 --observed 20",
    "ode_digits": "--iterations 3 --batch 8 --channels 4",
}
COUNTS = ("calls", "forwards", "backwards")  # numbers of calls of the field, of which node's adjoint takes fewer
ERRORS = {
    "off": 1e-3,
    "right": 0.02,
    "path": 2e-3,
    "samples": 2e-3,
    "losses": 2e-3,
    "gradients": 1e-4,
    "differences": 1e-3,
}
both_gradients = pytest.mark.parametrize("adjoint", [False, True], ids=["backprop", "adjoint"])


def run(name: str, library: str, size: str, *, adjoint: bool = False) -> dict[str, list[float]]:
    """The results of a program in which `from node import` is replaced by this library."""
    source = (FOLDER / f"{name}.py").read_text()
    source, imports = re.subn(r"^from node import", f"from {library} import", source, flags=re.MULTILINE)
    assert imports == 1
    program = ModuleType(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        exec(compile(source, f"{name}.py", "exec"), vars(program))
        found: dict[str, Any] = program.main([*size.split(), *(["--adjoint"] if adjoint else [])])
    finally:
        torch.set_num_threads(threads)
    return found


def assert_same_results(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> None:
    assert ours.keys() == theirs.keys()
    for what, numbers in ours.items():
        assert len(numbers) == len(theirs[what])
        if what in COUNTS:
            assert 0.5 * sum(theirs[what]) <= sum(numbers) <= 1.2 * sum(theirs[what])
        else:
            assert numbers == pytest.approx(theirs[what], rel=ERRORS.get(what, 1e-4), abs=ERRORS.get(what, 1e-4))


@pytest.mark.exhaustive
@both_gradients
@pytest.mark.filterwarnings("ignore:rtol=.* below the resolution of torch.float32")  # torchdiffeq's default tolerances
@pytest.mark.parametrize("name", SIZES)
def test_a_program_gives_the_same_results_with_either_import(name: str, adjoint: bool) -> None:
    assert_same_results(*(run(name, library, SIZES[name], adjoint=adjoint) for library in ("node", "torchdiffeq")))


@both_gradients
def test_a_programs_own_counter_counts_the_calls_of_the_adjoint(adjoint: bool) -> None:
    found = run("ode_digits", "node", "--iterations 2 --batch 4 --channels 4", adjoint=adjoint)
    assert all(calls > 0 for calls in found["forwards"])
    assert all((calls > 0) == adjoint for calls in found["backwards"])


@pytest.mark.exhaustive
def test_the_gradients_of_a_bouncing_ball_equal_finite_differences() -> None:
    found = run("bouncing_ball", "node", "--bounces 3")
    assert found["gradients"] == pytest.approx(found["differences"], rel=1e-5)


def test_every_program_of_the_folder_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*SIZES}
