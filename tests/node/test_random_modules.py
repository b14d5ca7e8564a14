"""Random programs: every mode gives backprop's gradient, and backprop's gradient equals finite differences.

`make test` tries the same few programs each time. This tries 2000, new ones each time:

    NODEBENCH_DRAWS=2000 .venv/bin/python -m pytest -n 2 tests/node/test_random_modules.py

A program that fails is shrunk and printed with everything that is needed to make it again.
"""

import os
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from node import SOLVERS, Callbacks, FixedStep, PIDController
from tests.support.random_fields import Draw, draws
from tests.support.random_modules import Program
from tests.support.right_or_refused import EXACT, MODES, TIGHT, is_refusal, mismatch

DRAWS = os.environ.get("NODEBENCH_DRAWS")
FIXED = FixedStep(dt=0.1)
LOOSE = PIDController(rtol=1e-4, atol=1e-5)
# For each family of solvers the solvers and controllers of its programs, which are solved in all modes that fit.
FAMILIES: dict[str, list[tuple[str, Any]]] = {
    "explicit, fixed": [("rk4", FIXED), ("heun", FIXED), ("ssprk3", FIXED)],
    "explicit, adaptive": [("dopri5", LOOSE), ("bosh3", LOOSE), ("tsit5", LOOSE)],
    "multistep": [("ab3", FIXED), ("abm4", FIXED)],
    "reversible": [("reversible_heun", FIXED), ("alf", LOOSE), ("reversible_rk4", FIXED)],
    "implicit": [("rodas4", FIXED), ("implicit_euler", FIXED), ("rodas5p", LOOSE)],
    "to the tolerance": [("dopri5", TIGHT), ("vern7", TIGHT)],
}
few = settings(
    max_examples=max(1, int(DRAWS or 42) // len(FAMILIES)),
    derandomize=DRAWS is None,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", FAMILIES)
def test_every_mode_gives_backprops_gradient_or_is_refused(family: str) -> None:
    solve_specs = FAMILIES[family]
    modes = MODES if family == "to the tolerance" else {n: m for n, m in MODES.items() if n in EXACT or n == "budget"}

    @few
    @given(draw=draws)
    def holds(draw: Draw) -> None:
        program = Program(draw)
        solver, controller = solve_specs[draw.seed % len(solve_specs)]
        how = {"solver": solver, "controller": controller}
        true, steps = gradient(program, how | {"gradient": "backprop"})
        assert true is not None, "backprop refuses"
        for name, mode in modes.items():
            if name == "backprop" or mode.unsupported(SOLVERS[solver]):
                continue
            found, others = gradient(program, how | {"gradient": mode})
            if found is None:
                continue
            # Rounding depends on the graph. An unstable field magnifies it to different steps and gradients.
            apart = max((abs(a - b) for a, b in zip(steps, others, strict=True)), default=0.0)
            tolerance = 1e-9 if mode.exactness.startswith("exact") else 1e-5
            wrong = mismatch(found, true, tolerance + min(1e4 * apart, 1e-6))
            assert not wrong, f"{name}, {solver}, {[*program.leaves]}: {wrong}"

    holds()


@pytest.mark.parametrize("family", ["explicit, fixed", "implicit", "to the tolerance"])
def test_backprops_gradient_equals_finite_differences(family: str) -> None:
    """The derivative is along a random direction in all leaves at once.

    The gradient in times is that of the true solution, so times and events are tested at a tight tolerance only.
    """
    tight = family == "to the tolerance"

    @few
    @given(draw=draws)
    def holds(draw: Draw) -> None:
        if not tight and (draw.times_need_gradient or draw.event != "none" or draw.dense):
            return
        program = Program(draw)
        solver, controller = FAMILIES[family][draw.seed % 2]
        how = {"solver": solver, "controller": controller, "gradient": "backprop"}
        found, _ = gradient(program, how)
        assert found is not None
        leaves = list(program.leaves.values())
        generator = torch.Generator().manual_seed(draw.seed)
        direction = [torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in leaves]
        slope = sum(float((g * d).sum()) for g, d in zip(found, direction, strict=True))
        true = directional_derivative(program, how, direction, 2e-4 if tight else 1e-4)
        # An adaptive solve has an error of about its tolerance; a difference divides that by a step of 2e-4.
        assert slope == pytest.approx(true, rel=1e-5 if tight else 1e-7, abs=3e-5 if tight else 1e-8)

    holds()


def gradient(program: Program, how: dict[str, Any]) -> tuple[list[torch.Tensor] | None, list[float]]:
    """The gradient of the loss in every leaf, or None if it is refused; and the times at which steps started."""
    leaves, starts = list(program.leaves.values()), []
    callbacks = Callbacks(accept=lambda t, y, dt: starts.append(t))
    try:
        found = torch.autograd.grad(program.loss(callbacks=callbacks, **how), leaves, allow_unused=True)
    except (ValueError, RuntimeError) as error:
        if not is_refusal(error):
            raise
        return None, starts
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)], starts


def directional_derivative(program: Program, how: dict[str, Any], direction: list[torch.Tensor], step: float) -> float:
    """The derivative of the loss along the direction, by a central difference of order 4."""
    leaves = [leaf.detach() for leaf in program.leaves.values()]
    before = [leaf.clone() for leaf in leaves]

    def at(shift: float) -> float:
        for leaf, start, d in zip(leaves, before, direction, strict=True):
            leaf.copy_(start + shift * d)
        return float(program.loss(**how))

    with torch.no_grad():
        values = [at(i * step) for i in (-2, -1, 1, 2)]
        at(0.0)
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
