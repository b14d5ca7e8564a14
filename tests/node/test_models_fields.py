"""The vector fields among the models: formulas, shapes, dtypes, times of samples, and derivatives."""

import pytest
import torch
from torch import Tensor, nn

from node import FixedStep, PIDController, solve
from node.models import MLP, ConcatSquash, Hamiltonian, SecondOrder

FIELDS = {
    "mlp": lambda: MLP(4, width=7, time=True),
    "concat_squash": lambda: ConcatSquash(4, width=7, depth=2),
    "second_order": lambda: SecondOrder(MLP(4, width=7, out=2, time=True)),
    "hamiltonian": lambda: Hamiltonian(MLP(4, width=7, out=1, time=True)),
}
every_field = pytest.mark.parametrize("name", FIELDS)
PRECISE = PIDController(rtol=1e-10, atol=1e-10)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def field(name: str) -> nn.Module:
    return FIELDS[name]().double()


def doubles(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@every_field
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)], ids=str)
def test_a_field_gives_a_derivative_in_the_states_shape_and_dtype(name: str, shape: tuple[int, ...]) -> None:
    dy = field(name)(doubles(), doubles(*shape))
    assert dy.shape == shape
    assert dy.dtype == torch.float64


@every_field
@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4)], ids=str)
def test_a_field_takes_a_time_for_each_sample(name: str, shape: tuple[int, ...]) -> None:
    f, t, y = field(name), doubles(5), doubles(*shape)
    alone = torch.stack([f(time, sample) for time, sample in zip(t, y, strict=True)])
    torch.testing.assert_close(f(t.view(5, *(1,) * (len(shape) - 1)), y), alone)


@every_field
def test_a_field_gives_the_same_under_no_grad_without_a_graph(name: str) -> None:
    f, t, y = field(name), doubles(), doubles(5, 4)
    with torch.no_grad():
        without = f(t, y)
    assert not without.requires_grad
    assert torch.equal(f(t, y), without)
    assert f(t, y).requires_grad


@every_field
def test_the_derivatives_of_a_field_in_state_and_parameters_equal_finite_differences(name: str) -> None:
    f, t, y = field(name), doubles(), doubles(3, 4).requires_grad_()
    names, values = zip(*f.named_parameters(), strict=True)

    def at(y: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(f, dict(zip(names, parameters, strict=True)), (t, y))

    assert torch.autograd.gradcheck(at, (y, *values))


@every_field
def test_a_field_is_solved_by_a_method_that_needs_its_jacobian(name: str) -> None:
    f, y0, t = field(name), doubles(2, 4), torch.tensor([0.0, 1.0])
    stiff, explicit = (solve(f, y0, t, solver=solver, controller=PRECISE).y for solver in ("rodas5p", "dopri8"))
    torch.testing.assert_close(stiff, explicit, rtol=1e-7, atol=1e-7)


def test_an_mlp_may_have_another_number_of_outputs() -> None:
    mlp = MLP(4, width=7, out=3)
    assert mlp(torch.tensor(0.0), torch.randn(5, 4)).shape == (5, 3)


def test_a_concat_squash_field_computes_its_formula() -> None:
    f, t, y = ConcatSquash(2, width=7, activation=nn.Softplus), torch.tensor(0.3), torch.randn(5, 2)
    layers = [
        (layer.linear.weight, layer.linear.bias, layer.gate.weight, layer.gate.bias, layer.shift.weight)
        for layer in f.layers
    ]
    assert [weight.shape for weight, *_ in layers] == [(7, 2), (2, 7)]
    x = y
    for weight, bias, gate_weight, gate_bias, shift in layers:
        x = nn.functional.softplus(x) if x is not y else x
        gate = 1 / (1 + torch.exp(-(gate_weight[:, 0] * t + gate_bias)))
        x = (x @ weight.t() + bias) * gate + shift[:, 0] * t
    torch.testing.assert_close(f(t, y), x)


def test_a_second_order_field_is_the_velocity_and_the_acceleration() -> None:
    acceleration = MLP(4, width=7, out=2, time=True)
    t, x, v = torch.tensor(0.3), torch.randn(5, 2), torch.randn(5, 2)
    y = torch.cat([x, v], dim=1)
    expected = torch.cat([v, acceleration(t, y)], dim=1)
    assert torch.equal(SecondOrder(acceleration)(t, y), expected)


def test_a_second_order_field_of_a_spring_oscillates_as_the_formula() -> None:
    spring = SecondOrder(lambda t, y: -4 * y[..., :1])
    t = torch.linspace(0, 3, 7, dtype=torch.float64)
    y = solve(spring, torch.tensor([1.0, 0.0], dtype=torch.float64), t, solver="dopri8", controller=PRECISE).y
    torch.testing.assert_close(y, torch.stack((torch.cos(2 * t), -2 * torch.sin(2 * t)), dim=1), rtol=0, atol=1e-7)


def test_a_hamiltonian_field_of_a_quadratic_energy_is_linear() -> None:
    """H = y' S y / 2 gives y' = J S y with J = [[0, I], [-I, 0]]."""
    s = doubles(4, 4)
    s = s + s.t()
    eye, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    j = torch.cat([torch.cat([zero, eye], dim=1), torch.cat([-eye, zero], dim=1)])
    f, y = Hamiltonian(lambda t, y: 0.5 * ((y @ s) * y).sum(-1, keepdim=True)), doubles(5, 4)
    torch.testing.assert_close(f(torch.tensor(0.0), y), y @ (j @ s).t())


def test_a_hamiltonian_field_conserves_its_energy_before_it_is_trained() -> None:
    """With a wrong sign or swapped halves the energy would change by about as much as it varies over the states."""
    energy = MLP(4, width=16, out=1, std=1.0).double()
    y0, t = doubles(8, 4), torch.linspace(0, 10, 5)
    y = solve(Hamiltonian(energy), y0, t, solver="dopri8", controller=PRECISE).require_success().y.detach()
    assert (y[-1] - y0).abs().mean() > 1
    h = energy(t, y)
    assert h[0].std() > 0.5
    torch.testing.assert_close(h, h[:1].expand_as(h), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "concat_squash", "second_order"])
def test_a_field_in_bfloat16_is_solved_in_bfloat16(name: str) -> None:
    f, y0 = FIELDS[name]().bfloat16(), torch.randn(5, 4, dtype=torch.bfloat16)
    y = solve(f, y0, torch.tensor([0.0, 1.0]), solver="rk4", controller=FixedStep(dt=0.1)).require_success().y
    assert y.dtype == torch.bfloat16
