"""Every model that contains a solve passes on all arguments of `solve`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from node import Callbacks, Event, FixedStep, PIDController, Solution, Status
from node.models import CNF, AugmentedNeuralODE, LatentODE, NeuralODE, ODEClassifier, RecognitionRNN
from tests.support.gradients import tensor

T = tensor(0.0, 0.4, 1.0)
Y0 = tensor(0.8, -0.4, 0.3, 0.1, 2.0, 1.0).view(3, 2)
STEPS, TOLERANCE = FixedStep(dt=0.1), PIDController(rtol=1e-6, atol=1e-6)


@dataclass(frozen=True)
class Example:
    """A model made from a field, and a solve of the model whose outputs include t = 0 and t = 1."""

    build: Callable[..., nn.Module]
    solve: Callable[..., Solution[Any]]


def from_state(model: nn.Module, **how: object) -> Solution[Any]:
    return model.solve(Y0, T, **how)


EXAMPLES = {
    "neural_ode": Example(NeuralODE, from_state),
    "augmented_neural_ode": Example(lambda f, s, **how: AugmentedNeuralODE(f, s, augment_dims=1, **how), from_state),
    "cnf": Example(lambda f, s, **how: CNF(f, s, shape=(2,), **how), from_state),
    "latent_ode": Example(
        lambda f, s, **how: LatentODE(RecognitionRNN(2, 2, width=4), f, nn.Identity(), s, noise_std=1.0, **how),
        from_state,
    ),
    "ode_classifier": Example(
        lambda f, s, **how: ODEClassifier(NeuralODE(f, s, **how), nn.Identity()),
        lambda model, **how: model.solve(Y0, **how),
    ),
}
every_model = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y * torch.cos(t)


def states(y: Any) -> Tensor:
    return y[0] if isinstance(y, tuple) else y


@every_model
def test_a_model_differentiates_in_the_parameters_that_it_is_given(example: Example) -> None:
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    found = []
    for gradient in ("backprop", "checkpointed", "adjoint"):
        how = {"controller": STEPS, "gradient": gradient, "parameters": (w,)}
        model = example.build(lambda t, y: torch.sin(w * y), "rk4", **how)
        found.append(torch.autograd.grad(states(example.solve(model).y)[-1].sum(), w)[0])
        assert all(p is not w for p in model.parameters())
    torch.testing.assert_close(found[1], found[0])
    torch.testing.assert_close(found[2], found[0], rtol=1e-4, atol=0)


@every_model
def test_the_samples_of_a_model_may_have_their_own_steps(example: Example) -> None:
    solution = example.solve(example.build(decay, "dopri5", controller=TOLERANCE, batch="independent"))
    assert solution.samples is not None
    exact = Y0 * torch.exp(-torch.sin(tensor(1.0)))
    torch.testing.assert_close(states(solution.y)[-1][:, :2], exact, rtol=1e-5, atol=1e-6)


@every_model
def test_the_callbacks_of_a_model_are_called_in_each_step(example: Example) -> None:
    seen: list[float] = []
    callbacks = Callbacks(accept=lambda t, y, dt: seen.append(dt))
    solution = example.solve(example.build(decay, "rk4", controller=STEPS, callbacks=callbacks))
    assert len(seen) == solution.stats.n_accepted > 0


@every_model
def test_the_solve_of_a_model_may_stop_at_an_event(example: Example) -> None:
    """y = y0 exp(-sin t) is 0.9 y0 at t = asin(-log 0.9)."""
    event = Event(lambda t, y: states(y)[0, 0] - 0.9 * Y0[0, 0])
    solution = example.solve(example.build(decay, "dopri5", controller=TOLERANCE), event=event)
    assert solution.status is Status.event
    assert solution.event.t.item() == pytest.approx(torch.asin(-torch.log(tensor(0.9))).item(), abs=1e-5)


@every_model
def test_the_solve_of_a_model_may_give_dense_output(example: Example) -> None:
    solution = example.solve(example.build(decay, "dopri5", controller=TOLERANCE), dense=True)
    found = states(solution.dense(0.5))
    torch.testing.assert_close(found[:, :2], Y0 * torch.exp(-torch.sin(tensor(0.5))), rtol=1e-4, atol=1e-5)


def test_the_solve_of_a_flow_gives_the_log_determinants_at_all_outputs() -> None:
    """The log-determinant is -sin t for each of two dimensions, with every trace."""
    for how in ({"trace": "exact"}, {"trace": "rademacher"}, {"trace": "exact", "batch": "independent"}):
        _, log_dets = CNF(decay, "dopri5", shape=(2,), controller=TOLERANCE, **how).solve(Y0, T).y
        torch.testing.assert_close(log_dets, -2 * torch.sin(T).unsqueeze(1).expand(3, 3), rtol=0, atol=1e-5)


@every_model
def test_an_unknown_argument_is_refused_when_the_model_is_made(example: Example) -> None:
    with pytest.raises(TypeError, match="gradients"):
        example.build(decay, "rk4", controller=STEPS, gradients="adjoint")
