"""Properties of every model: dtype, state_dict, gradients in every mode, and an error instead of NaN."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, MODELS, FixedStep, NeuralODE, SolveError
from node.models import (
    CNF,
    MLP,
    AugmentedNeuralODE,
    ConcatSquash,
    Hamiltonian,
    LatentODE,
    ODEClassifier,
    RecognitionRNN,
    SecondOrder,
)
from tests.support.gradients import relative_error

NOW, T = torch.tensor(0.3), torch.tensor([0.0, 0.3, 1.0])
SOLVING = ["augmented_neural_ode", "cnf", "cnf, rademacher", "latent_ode", "neural_ode", "ode_classifier"]


@dataclass(frozen=True)
class Example:
    """A small model, and a call of the model on points (5, 2), or on time series (3, 5, 2) made from them."""

    build: Callable[..., nn.Module]  # called with solver, controller and gradient, of which a field needs none
    call: Callable[[nn.Module, Tensor], Tensor]


def field(model: Callable[[], nn.Module]) -> Example:
    return Example(lambda *_, **__: model(), lambda f, y: f(NOW, y))


def cnf(trace: str) -> Example:
    return Example(
        lambda *a, **k: CNF(MLP(2, width=8, time=True), *a, shape=(2,), trace=trace, **k), lambda m, x: m.log_density(x)
    )


def series(x: Tensor) -> Tensor:
    return torch.stack((x, x.sin(), x.cos()))


EXAMPLES = {
    "mlp": field(lambda: MLP(2, width=8, time=True)),
    "concat_squash": field(lambda: ConcatSquash(2, width=8)),
    "second_order": field(lambda: SecondOrder(MLP(2, width=8, out=1))),
    "hamiltonian": field(lambda: Hamiltonian(MLP(2, width=8, out=1))),
    "neural_ode": Example(lambda *a, **k: NeuralODE(ConcatSquash(2, width=8), *a, **k), lambda m, x: m(x, T)),
    "augmented_neural_ode": Example(
        lambda *a, **k: AugmentedNeuralODE(MLP(3, width=8), *a, augment_dims=1, **k), lambda m, x: m(x, T)
    ),
    "cnf": cnf("exact"),
    "cnf, rademacher": cnf("rademacher"),
    "recognition_rnn": Example(lambda *_, **__: RecognitionRNN(2, 3, width=8), lambda m, x: m(series(x), T).mean),
    "latent_ode": Example(
        lambda *a, **k: LatentODE(
            RecognitionRNN(2, 3, width=8), MLP(3, width=8), nn.Linear(3, 2), *a, noise_std=1.0, **k
        ),
        lambda m, x: m.elbo(series(x), T),
    ),
    "ode_classifier": Example(
        lambda *a, **k: ODEClassifier(NeuralODE(MLP(2, width=8), *a, **k), nn.Linear(2, 3)), lambda m, x: m(x)
    ),
}
every_model = pytest.mark.parametrize("name", EXAMPLES)
every_solving_model = pytest.mark.parametrize("name", SOLVING)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def build(name: str, *, solver: str = "rk4", dt: float = 0.1, gradient: str = "backprop") -> nn.Module:
    return EXAMPLES[name].build(solver, controller=FixedStep(dt=dt), gradient=gradient).double()


def output(name: str, model: nn.Module, x: Tensor) -> Tensor:
    """The output of the model for x, with the same noise in every call."""
    torch.manual_seed(1)
    return EXAMPLES[name].call(model, x)


def points() -> Tensor:
    return torch.randn(5, 2, dtype=torch.float64)


def test_every_registered_model_is_an_exported_class_with_an_example() -> None:
    assert {name.partition(",")[0] for name in EXAMPLES} == set(MODELS)
    assert all(isinstance(build(name), MODELS[name.partition(",")[0]]) for name in EXAMPLES)


@every_model
def test_a_model_in_double_stays_in_double(name: str) -> None:
    assert output(name, build(name), points()).dtype == torch.float64


@every_model
def test_a_model_is_saved_and_loaded_by_its_state_dict(name: str) -> None:
    model, copy, x = build(name), build(name), points()
    assert not torch.equal(output(name, copy, x), output(name, model, x))
    copy.load_state_dict(model.state_dict())
    assert torch.equal(output(name, copy, x), output(name, model, x))


@every_model
def test_a_model_under_no_grad_gives_the_same_and_leaves_no_graph(name: str) -> None:
    model, x = build(name), points()
    with torch.no_grad():
        without = output(name, model, x)
    assert not without.requires_grad
    assert torch.equal(without, output(name, model, x))


@every_model
def test_every_parameter_of_a_model_has_a_gradient(name: str) -> None:
    """The additive constant of an energy is excepted: the motion does not depend on it."""
    model = build(name)
    output(name, model, points()).sin().sum().backward()
    without = [n for n, parameter in model.named_parameters() if parameter.grad is None]
    assert without == (["energy.net.2.bias"] if name == "hamiltonian" else [])


def gradient_of(name: str, solver: str, gradient: str) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    model, x = build(name, solver=solver, dt=0.05, gradient=gradient), points().requires_grad_()
    return torch.autograd.grad(output(name, model, x).sin().sum(), (x, *model.parameters()))


@every_solving_model
@pytest.mark.parametrize("solver", ["rk4", "reversible_rk4"])
@pytest.mark.parametrize("gradient", [mode for mode in ADJOINTS if mode != "backprop"])
def test_every_mode_gives_a_model_the_same_gradient(name: str, solver: str, gradient: str) -> None:
    """The gradients differ by the solver's error of about 1e-7; a missing term, as of the trace, would show."""
    assert relative_error(gradient_of(name, solver, gradient), gradient_of(name, solver, "backprop")) < 1e-5


@every_solving_model
def test_a_model_that_cannot_reach_the_end_raises_instead_of_training_on_nan(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        for n, parameter in model.named_parameters():
            parameter.fill_(torch.nan if "vector_field" in n else 0.1)
    with pytest.raises(SolveError, match=r"^non_finite: "):
        output(name, model, points())
