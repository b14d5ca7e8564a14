"""Checks that each gradient mode gives the right gradient or refuses in one line of its own, and is never wrong."""

import linecache
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

import node
from node import ADJOINTS, SOLVERS, Checkpointed, FixedStep, PIDController

PACKAGE = Path(node.__file__).parent
TIGHT = PIDController(rtol=1e-9, atol=1e-11)
EXACT = {name: mode for name, mode in ADJOINTS.items() if mode.exactness.startswith("exact")}
# Every mode by name, and checkpointed with a budget, whose backward pass is another.
MODES = {**ADJOINTS, "budget": Checkpointed(2)}
every_mode = pytest.mark.parametrize("mode", MODES)
T = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)


def arguments_of(mode: str, *, controller: object = None) -> dict[str, object]:
    """The arguments of a solve in this mode: fixed steps where the mode is exact, else a tight tolerance."""
    value = MODES[mode]
    exact = value.exactness.startswith("exact")
    solver = "reversible_rk4" if value.unsupported(SOLVERS["dopri5"]) else "rk4" if exact else "dopri5"
    return {"solver": solver, "controller": controller or (FixedStep(dt=0.125) if exact else TIGHT), "gradient": value}


def backprop_arguments_of(mode: str) -> dict[str, object]:
    """The arguments of the solve by backprop whose gradient this mode's gradient is compared with."""
    return {**arguments_of(mode), "gradient": "backprop"}


def tolerance(mode: str) -> float:
    """The relative error allowed to the gradient of this mode."""
    return 1e-9 if MODES[mode].exactness.startswith("exact") else 1e-6


def gradients(loss: Callable[[], Tensor], leaves: Iterable[Tensor]) -> list[Tensor]:
    """The `grad` of each leaf after `backward`; zeros where it is None."""
    leaves = list(leaves)
    for leaf in leaves:
        leaf.grad = None
    loss().backward()
    found = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return found


def none_if_refused(call: Callable[[], list[Tensor]]) -> list[Tensor] | None:
    """The result of the call, or None if the call is refused; any other error is raised."""
    try:
        return call()
    except (ValueError, RuntimeError, NotImplementedError) as error:
        if not is_refusal(error):
            raise
        return None


def is_refusal(error: BaseException) -> bool:
    """Whether the error is one line, raised by `node` itself or by autograd for a tensor that was changed in place."""
    text = str(error)
    if "\n" in text.strip():
        return False
    if "modified by an inplace operation" in text:
        return True
    last = traceback.extract_tb(error.__traceback__)[-1]
    statement = linecache.getline(last.filename, last.lineno or 0).strip()
    return Path(last.filename).is_relative_to(PACKAGE) and statement.startswith("raise")


def mismatch(found: Sequence[Tensor], true: Sequence[Tensor], tolerance: float) -> str:
    """The first leaf whose gradient is wrong, as text; empty if there is none.

    A leaf's error may be `tolerance` times the sum of its own norm and a hundredth of the norm of all leaves.
    """
    whole = torch.cat([torch.view_as_real(x).reshape(-1) if x.is_complex() else x.reshape(-1) for x in true]).norm()
    for i, (a, b) in enumerate(zip(found, true, strict=True)):
        allowed = tolerance * (b.norm() + 0.01 * whole)
        if not (a - b).norm() <= allowed:
            return f"leaf {i}: {a.flatten()[:4].tolist()} and should be {b.flatten()[:4].tolist()}"
    return ""


def assert_right_or_refused(found: Sequence[Tensor] | None, true: Sequence[Tensor], mode: str) -> None:
    """Assert that the gradients are right or were refused (None)."""
    assert found is None or not mismatch(found, true, tolerance(mode)), (
        f"{mode}: {mismatch(found, true, tolerance(mode))}"
    )
