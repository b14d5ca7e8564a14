"""The callbacks of per-sample stepping are called with the same times, states and steps as for each sample alone."""

import pytest
import torch
from torch import Tensor

from node import Callbacks, FixedStep, PIDController, solve
from node.adjoint import Adjoint
from node.controller import Controller
from tests.support.per_sample_modes import every_mode, solver_for
from tests.support.samples import DIRECTIONS, TOLERANCE, Y0, Pendulum, T, explosion, tensor, together

Calls = dict[str, list[tuple[Tensor, Tensor, Tensor]]]
CONTROLLERS = {"adaptive": PIDController(rtol=1e-3, atol=1e-3, first_step=0.5), "fixed": FixedStep(dt=0.08)}


def recording_callbacks() -> tuple[Calls, Callbacks]:
    calls_by_name: Calls = {"step": [], "accept": [], "reject": []}
    return calls_by_name, Callbacks(
        **{name: lambda *call, to=to: to.append(call) for name, to in calls_by_name.items()}
    )


def of_sample(calls_by_name: Calls, i: int) -> dict[str, list[tuple[float, float]]]:
    """The times and steps of sample i in all calls in which it takes part."""
    return {
        name: [(t[i].item(), dt[i].item()) for t, _, dt in calls if dt[i] != 0] for name, calls in calls_by_name.items()
    }


@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("controller", CONTROLLERS.values(), ids=CONTROLLERS)
def test_callbacks_get_the_steps_of_each_sample_as_if_alone(controller: Controller, t: Tensor) -> None:
    calls_by_name, callbacks = recording_callbacks()
    how = {"solver": "dopri5", "controller": controller}
    assert calls_by_name["reject"] == []
    together(Pendulum(), Y0, t, callbacks=callbacks, **how)
    for i, y0 in enumerate(Y0):
        single, callbacks = recording_callbacks()
        solve(Pendulum(), y0, t, callbacks=callbacks, **how)
        for name, calls in of_sample(calls_by_name, i).items():
            expected = tensor(*[(start, dt) for start, _, dt in single[name]])
            torch.testing.assert_close(tensor(*calls), expected, rtol=1e-9, atol=1e-9)
        states = [y[i] for _, y, dt in calls_by_name["accept"] if dt[i] != 0]
        torch.testing.assert_close(states, [y for _, y, _ in single["accept"]], rtol=1e-9, atol=1e-9)
    assert bool(calls_by_name["reject"]) is controller.adaptive


def test_callbacks_get_times_and_states_in_the_shapes_of_the_batch() -> None:
    calls_by_name, callbacks = recording_callbacks()
    y0 = Y0.float(), Y0.float().unsqueeze(2)
    together(lambda t, y: (-y[0], -y[1]), y0, T, solver="rk4", controller=FixedStep(dt=0.5), callbacks=callbacks)
    for t, (a, b), dt in calls_by_name["step"] + calls_by_name["accept"]:
        assert (t.shape, t.dtype, dt.shape, dt.dtype) == ((3,), torch.float64, (3,), torch.float64)
        assert (a.shape, b.shape) == ((3, 2), (3, 2, 1))


def test_a_sample_that_has_ended_has_a_step_of_zero_in_later_calls() -> None:
    calls_by_name, callbacks = recording_callbacks()
    batch = together(
        explosion, tensor([2.0], [0.4]), T, solver="dopri5", controller=TOLERANCE, callbacks=callbacks,
    )  # fmt: skip
    assert [len(of_sample(calls_by_name, i)["accept"]) for i in range(2)] == batch.samples.n_accepted.tolist()
    assert [len(of_sample(calls_by_name, i)["reject"]) for i in range(2)] == batch.samples.n_rejected.tolist()
    assert all(dt.any() for calls in calls_by_name.values() for _, _, dt in calls)


@every_mode
def test_callbacks_are_called_in_the_forward_pass_alone_in_every_mode(mode: Adjoint) -> None:
    calls_by_name, callbacks = recording_callbacks()
    how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode}
    solution = together(Pendulum(), Y0.clone().requires_grad_(), T, callbacks=callbacks, **how)
    accepted = sum(dt.count_nonzero().item() for _, _, dt in calls_by_name["accept"])
    solution.y.sum().backward()
    assert accepted == solution.stats.n_accepted
    assert sum(dt.count_nonzero().item() for _, _, dt in calls_by_name["accept"]) == accepted
