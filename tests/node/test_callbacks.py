"""The arguments with which the callbacks of a solve are called."""

import torch
from torch import Tensor

from node import Callbacks, FixedStep, PIDController, solve

Calls = list[tuple[float, Tensor, float]]


def calls_during(controller: FixedStep | PIDController) -> tuple[Calls, Calls, Calls]:
    step: Calls = []
    accept: Calls = []
    reject: Calls = []
    solve(
        lambda t, y: -y * torch.cos(t), torch.ones(2, 3, dtype=torch.float64), torch.tensor([0.0, 0.05, 2.0]),
        solver="dopri5", controller=controller,
        callbacks=Callbacks(*(lambda *call, to=to: to.append(call) for to in (step, accept, reject))),
    ).require_success()  # fmt: skip
    return step, accept, reject


def test_callbacks_are_called_before_each_step_and_after_it_is_accepted_or_rejected() -> None:
    step, accept, reject = calls_during(PIDController(rtol=1e-6, atol=1e-6, first_step=1.5))
    assert reject
    assert len(step) == len(accept) + len(reject)
    assert step[0][0] == reject[0][0] == 0.0
    assert step[0][2] == reject[0][2] == 1.5
    assert sorted((t, dt) for t, _, dt in step) == sorted((t, dt) for t, _, dt in accept + reject)


def test_accepted_steps_lead_from_the_start_to_the_end() -> None:
    _, accept, reject = calls_during(FixedStep(dt=0.25))
    assert [t for t, _, _ in accept] == [0.25 * i for i in range(8)]
    assert {dt for _, _, dt in accept} == {0.25}
    assert not reject
    assert all(y.shape == (2, 3) for _, y, _ in accept)
    exact = [torch.exp(-torch.tensor(t, dtype=torch.float64).sin()) for t, _, _ in accept]
    torch.testing.assert_close(torch.stack([y[0, 0] for _, y, _ in accept]), torch.stack(exact), rtol=1e-5, atol=0)
