"""A field without a derivative in autograd is refused where the derivative is needed; a constant field is not."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, FixedStep, solve
from node.derivatives import depends_on
from node.models import CNF, Hamiltonian, NeuralODE, SecondOrder
from node.models.divergence import TRACES
from tests.support.gradients import tensor

T, Y0 = tensor(0.0, 1.0), tensor(0.8, -0.4, 0.3, 0.1).view(2, 2)
STEPS = FixedStep(dt=0.1)
WEIGHT = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
NO_DERIVATIVE = "has no derivative in y, though it changes with y: leave out detach"


def under_no_grad(t: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return -y


def slope_without_a_graph(t: Tensor, y: Tensor) -> Tensor:
    with torch.enable_grad():
        x = y.detach().requires_grad_()
        return -torch.autograd.grad(x.square().sum() / 2, x)[0]


DETACHED = {
    "detach": lambda t, y: -y.detach(),
    "data": lambda t, y: -y.data,
    "numpy": lambda t, y: torch.from_numpy(-y.detach().numpy()),
    "item": lambda t, y: torch.stack([torch.full_like(row, -row[0].item()) for row in y]),
    "no_grad": under_no_grad,
    "grad without create_graph": slope_without_a_graph,
    "with a weight": lambda t, y: -WEIGHT * y.detach(),
}
CONSTANT = {
    "ones": lambda t, y: torch.ones_like(y),
    "of time": lambda t, y: torch.cos(t).expand_as(y),
    "a weight": lambda t, y: WEIGHT.expand_as(y),
    "a jump at y": lambda t, y: (y > Y0).to(y.dtype),
    "a table": lambda t, y: tensor(1.0, 2.0)[(y > 0.2).long()],
}
every_detached_field = pytest.mark.parametrize("field", DETACHED.values(), ids=DETACHED)
every_constant_field = pytest.mark.parametrize("field", CONSTANT.values(), ids=CONSTANT)
Field = Callable[[Tensor, Tensor], Tensor]


def cnf(field: Field, trace: str) -> CNF:
    return CNF(field, "rk4", shape=(2,), controller=STEPS, trace=trace).double()


@pytest.mark.parametrize("where", [torch.enable_grad, torch.no_grad])
@pytest.mark.parametrize("trace", TRACES)
@every_detached_field
def test_a_cnf_of_a_detached_field_is_refused_in_one_line(field: Field, trace: str, where: Callable) -> None:
    with where(), pytest.raises(ValueError, match=f"^a divergence needs df/dy, but .*{NO_DERIVATIVE}") as refused:
        cnf(field, trace)(Y0)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("trace", TRACES)
@every_constant_field
def test_a_cnf_of_a_constant_field_has_log_determinant_zero(field: Field, trace: str) -> None:
    assert torch.equal(cnf(field, trace)(Y0)[1], torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("trace", ["exact", "rademacher"])
def test_the_log_determinant_of_decay_is_that_of_the_formula(trace: str) -> None:
    """y' = -y in two dimensions over [0, 1]: the log-determinant is -tr I = -2."""
    flow = CNF(lambda t, y: -y, "dopri8", shape=(2,), controller=STEPS, trace=trace).double()
    torch.testing.assert_close(flow.inverse(Y0)[1], tensor(-2.0, -2.0))


def test_an_energy_without_a_derivative_is_refused_and_a_constant_energy_gives_zero() -> None:
    with pytest.raises(ValueError, match=f"^Hamilton's equations need dH/dy, but the energy {NO_DERIVATIVE}"):
        Hamiltonian(lambda t, y: y.detach().square())(T[0], Y0)
    assert torch.equal(Hamiltonian(lambda t, y: WEIGHT)(T[0], Y0), torch.zeros_like(Y0))


def test_an_acceleration_without_a_derivative_is_refused_and_constant_gravity_is_not() -> None:
    y0 = Y0.clone().requires_grad_()
    with pytest.raises(ValueError, match=f"^the gradient of a solve needs da/dy, but the acceleration {NO_DERIVATIVE}"):
        NeuralODE(SecondOrder(lambda t, y: -y[..., :1].detach()), "rk4", controller=STEPS)(y0, T)
    y = NeuralODE(SecondOrder(lambda t, y: torch.full_like(y[..., :1], -9.81)), "rk4", controller=STEPS)(y0, T)
    torch.testing.assert_close(torch.autograd.grad(y[-1].sum(), y0)[0], tensor(1.0, 2.0).expand(2, 2))


@pytest.mark.parametrize("solver", ["implicit_euler", "rodas4"])
@every_detached_field
def test_a_stiff_solve_of_a_detached_field_is_refused_in_one_line(field: Field, solver: str) -> None:
    with pytest.raises(ValueError, match=f"^{solver} needs df/dy, but .*{NO_DERIVATIVE}.*explicit solver") as refused:
        solve(field, Y0, T, solver=solver, controller=STEPS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("solver", ["implicit_euler", "rodas4"])
def test_a_stiff_solve_of_a_constant_field_has_the_exact_state_and_gradient(solver: str) -> None:
    y = solve(lambda t, y: torch.ones_like(y), Y0, T, solver=solver, controller=STEPS).y
    torch.testing.assert_close(y[-1], Y0 + 1)
    (of_weight,) = torch.autograd.grad(
        solve(lambda t, y: WEIGHT.expand_as(y), Y0, T, solver=solver, controller=STEPS).y[-1].sum(), WEIGHT
    )
    assert of_weight.item() == pytest.approx(4.0)


def solve_in_mode(field: Field, y: Tensor | tuple[Tensor, ...], gradient: str) -> None:
    how = {"solver": "reversible_heun", "controller": STEPS, "gradient": gradient}
    solve(field, y, T, **how)


every_mode_that_needs_parameters = pytest.mark.parametrize(
    "gradient", [m for m in ADJOINTS if ADJOINTS[m].needs_parameters]
)


@every_mode_that_needs_parameters
@every_detached_field
def test_a_mode_that_needs_parameters_refuses_a_detached_field(field: Field, gradient: str) -> None:
    with pytest.raises(ValueError, match=f"^the gradient of a solve needs df/dy, but .*{NO_DERIVATIVE}"):
        solve_in_mode(field, Y0, gradient)


@every_mode_that_needs_parameters
@pytest.mark.parametrize(
    "field", [*CONSTANT.values(), lambda t, y: -y, lambda t, y: y, lambda t, y: y.sum().expand(2, 2)]
)
def test_a_mode_that_needs_parameters_takes_constant_and_differentiable_fields(field: Field, gradient: str) -> None:
    solve_in_mode(field, Y0, gradient)


@every_mode_that_needs_parameters
def test_a_mode_that_needs_parameters_refuses_a_detached_part_of_a_tuple(gradient: str) -> None:
    def field(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, v = state
        return v, -x.detach()

    with pytest.raises(ValueError, match=NO_DERIVATIVE):
        solve_in_mode(field, (tensor(1.0), tensor(1.0)), gradient)


def test_a_detached_real_or_imaginary_part_of_a_complex_state_is_refused() -> None:
    y = torch.tensor([1.0 + 1.0j], dtype=torch.complex128)
    for part in (torch.real, torch.imag):
        with pytest.raises(ValueError, match=NO_DERIVATIVE):
            solve(lambda t, y, of=part: of(y.detach()) + 0j, y, T, solver="rodas4", controller=STEPS)


def test_depends_on_is_true_for_tensors_in_the_graph_alone() -> None:
    x, w = tensor(1.0).requires_grad_(), tensor(2.0).requires_grad_()
    assert depends_on(x * w, (x,))
    assert depends_on(x, (x,))
    assert not depends_on(w * x.detach(), (x,))
    assert not depends_on(tensor(math.pi), (x,))


def test_a_detached_state_is_refused_beside_a_weight_with_a_graph() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.w * y.detach()

    with pytest.raises(ValueError, match=NO_DERIVATIVE):
        cnf(Weighted(), "exact")(Y0)
