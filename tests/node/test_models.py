"""Models: an MLP as a vector field, and a Neural ODE as a model that can be trained."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, MODELS, FixedStep, NeuralODE, PIDController, SolveError, solve
from node.models import MLP

STEPS = FixedStep(dt=0.1)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def linears(mlp: MLP) -> list[nn.Linear]:
    return [layer for layer in mlp.modules() if isinstance(layer, nn.Linear)]


def test_the_registry_holds_the_models_by_name() -> None:
    assert MODELS["mlp"] is MLP
    assert MODELS["neural_ode"] is NeuralODE
    assert all(issubclass(model, nn.Module) for model in MODELS.values())


@pytest.mark.parametrize("time", [False, True], ids=["autonomous", "with time"])
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3)], ids=str)
def test_an_mlp_gives_a_derivative_in_the_states_shape(shape: tuple[int, ...], time: bool) -> None:
    mlp = MLP(3, width=7, depth=2, time=time)
    t, y = torch.tensor(0.5), torch.randn(shape)
    assert mlp(t, y).shape == shape


@pytest.mark.parametrize("time", [False, True], ids=["autonomous", "with time"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_mlp_has_the_given_number_and_width_of_hidden_layers(depth: int, time: bool) -> None:
    mlp = MLP(3, width=7, depth=depth, time=time)
    widths = [3 + time, *[7] * depth, 3]
    assert [(layer.in_features, layer.out_features) for layer in linears(mlp)] == list(itertools.pairwise(widths))
    assert sum(isinstance(layer, nn.Tanh) for layer in mlp.modules()) == depth


def test_an_mlp_computes_its_formula() -> None:
    mlp, y = MLP(2, width=4), torch.randn(5, 2)
    first, last = linears(mlp)
    expected = torch.tanh(y @ first.weight.t() + first.bias) @ last.weight.t() + last.bias
    torch.testing.assert_close(mlp(torch.tensor(0.0), y), expected)


def test_an_mlp_applies_to_each_sample_separately() -> None:
    mlp, y, t = MLP(3, width=7, time=True), torch.randn(4, 3), torch.tensor(0.3)
    torch.testing.assert_close(mlp(t, y), torch.stack([mlp(t, sample) for sample in y]))


def test_only_an_mlp_with_time_depends_on_time() -> None:
    y, early, late = torch.randn(5, 3), torch.tensor(0.1), torch.tensor(0.9)
    without, with_time = MLP(3, width=7), MLP(3, width=7, time=True)
    assert torch.equal(without(early, y), without(late, y))
    assert not torch.allclose(with_time(early, y), with_time(late, y))


def test_an_mlp_has_the_given_activation() -> None:
    mlp = MLP(2, width=4, depth=2, activation=nn.Softplus)
    assert sum(isinstance(layer, nn.Softplus) for layer in mlp.modules()) == 2
    assert not any(isinstance(layer, nn.Tanh) for layer in mlp.modules())


@pytest.mark.parametrize("std", [0.1, 0.02])
def test_std_draws_the_weights_and_sets_the_biases_to_zero(std: float) -> None:
    for layer in linears(MLP(100, width=200, std=std)):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.03 * std
        assert not layer.bias.any()


def test_without_std_the_weights_have_torchs_default() -> None:
    torch.manual_seed(1)
    mlp = MLP(3, width=7)
    torch.manual_seed(1)
    expected = [nn.Linear(3, 7), nn.Linear(7, 3)]
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(linears(mlp), expected, strict=True))


@every_gradient
def test_the_forward_pass_of_a_model_gives_the_states_of_its_solve(gradient: str) -> None:
    model = NeuralODE(MLP(2, width=4), "rk4", controller=STEPS, gradient=gradient)
    y0, t = torch.randn(3, 2), torch.tensor([0.0, 0.25, 1.0])
    solution = model.solve(y0, t)
    assert torch.equal(model(y0, t), solution.y)
    direct = solve(model.vector_field, y0, t, solver="rk4", controller=STEPS, gradient=gradient)
    assert torch.equal(solution.y, direct.y)
    assert solution.stats == direct.stats
    assert solution.y.shape == (3, 3, 2)


def test_the_parameters_of_a_model_are_those_of_its_vector_field() -> None:
    mlp = MLP(2, width=4)
    model = NeuralODE(mlp, "dopri5", controller=PIDController(rtol=1e-3, atol=1e-3))
    assert list(map(id, model.parameters())) == list(map(id, mlp.parameters()))
    assert set(model.state_dict()) == {f"vector_field.{name}" for name in mlp.state_dict()}


def test_a_model_is_saved_and_loaded_by_its_state_dict() -> None:
    model, copy = (NeuralODE(MLP(2, width=4), "rk4", controller=STEPS) for _ in range(2))
    y0, t = torch.randn(3, 2), torch.tensor([0.0, 1.0])
    assert not torch.equal(copy(y0, t), model(y0, t))
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy(y0, t), model(y0, t))


def test_a_model_in_double_solves_in_double() -> None:
    model = NeuralODE(MLP(2, width=4, time=True), "rk4", controller=STEPS).double()
    assert model(torch.randn(3, 2, dtype=torch.float64), torch.tensor([0.0, 1.0])).dtype == torch.float64


def test_a_model_of_a_plain_function_has_no_parameters() -> None:
    model = NeuralODE(lambda t, y: -y, "rk4", controller=STEPS)
    assert list(model.parameters()) == []
    torch.testing.assert_close(model(torch.ones(1), torch.tensor([0.0, 1.0]))[-1], torch.exp(-torch.ones(1)))


def trained(gradient: str, steps: int) -> tuple[NeuralODE, list[float]]:
    """A model that learns a quarter turn of the plane from eight points, and the loss before each step."""
    torch.manual_seed(0)
    model = NeuralODE(MLP(2, width=16), "rk4", controller=STEPS, gradient=gradient)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    angle = torch.arange(8) * (torch.pi / 4)
    circle = torch.stack((angle.cos(), angle.sin()), dim=1)
    target = torch.stack([circle, circle.roll(-1, 0), circle.roll(-2, 0)])
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (model(circle, torch.tensor([0.0, 0.5, 1.0])) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return model, losses


@every_gradient
def test_a_few_steps_of_an_optimiser_train_a_model(gradient: str) -> None:
    model, losses = trained(gradient, steps=40)
    assert losses[-1] < losses[0] / 20
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", [name for name in ADJOINTS if name != "backprop"])
def test_every_gradient_mode_trains_to_the_same_loss(gradient: str) -> None:
    """The gradients differ by the error of rk4, which is too small to be seen in the loss."""
    _, by_backprop = trained("backprop", steps=20)
    _, losses = trained(gradient, steps=20)
    assert losses == pytest.approx(by_backprop, rel=1e-3)


@every_gradient
def test_a_model_under_no_grad_leaves_no_graph(gradient: str) -> None:
    model = NeuralODE(MLP(2, width=4), "rk4", controller=STEPS, gradient=gradient)
    with torch.no_grad():
        assert not model(torch.randn(3, 2), torch.tensor([0.0, 1.0])).requires_grad


def test_a_model_that_cannot_reach_the_end_raises_instead_of_training_on_nan() -> None:
    class Pole(nn.Module):
        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return y**2

    with pytest.raises(SolveError, match=r"^non_finite: "):
        NeuralODE(Pole(), "rk4", controller=FixedStep(dt=0.05))(torch.ones(1), torch.tensor([0.0, 3.0]))
