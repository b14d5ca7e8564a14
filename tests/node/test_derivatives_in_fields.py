"""Fields that take derivatives inside, share weights or are plain functions, in every mode and kind of solver."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from node import ADJOINTS, SOLVERS, FixedStep, solve
from node.derivatives import products
from node.models import CNF, AugmentedNeuralODE, Hamiltonian, LatentODE, NeuralODE, ODEClassifier, RecognitionRNN
from tests.support.gradients import relative_error, tensor

T = tensor(0.0, 0.3, 0.5)
Y0 = tensor(0.8, -0.4)
STEPS = FixedStep(dt=0.05)
CASES = {
    f"{gradient}-{solver}": (gradient, solver)
    for gradient in ADJOINTS
    for solver in ("rk4", "implicit_euler", "rodas4", "reversible_rk4")
    if not ADJOINTS[gradient].unsupported(SOLVERS[solver])
}
every_case = pytest.mark.parametrize(("gradient", "solver"), CASES.values(), ids=CASES)


class Energy(nn.Module):
    """The energy H = (w q^2 + p^2) / 2 + q^4 / 4 of a state (q, p)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        q, p = y.unbind(-1)
        return (self.w * q * q + p * p) / 2 + q**4 / 4


class ByFormula(Energy):
    """Hamilton's equations with the derivatives of H written out."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        q, p = y.unbind(-1)
        return torch.stack((p, -self.w * q - q**3), dim=-1)


class ByAutograd(Energy):
    """Hamilton's equations with the derivatives by autograd: in y itself if y requires grad, else in a detached y."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = y if y.requires_grad else y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(super().forward(x).sum(), x, create_graph=True)
        return torch.stack((slope[..., 1], -slope[..., 0]), dim=-1)


class ByClone(Energy):
    """Hamilton's equations with the derivatives by autograd, in a clone of y."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = y.clone().requires_grad_()
            (slope,) = torch.autograd.grad(super().forward(x).sum(), x, create_graph=True)
        return torch.stack((slope[..., 1], -slope[..., 0]), dim=-1)


def gradients(f: nn.Module, gradient: str, solver: str) -> tuple[Tensor, ...]:
    y0 = Y0.clone().requires_grad_()
    y = solve(f, y0, T, solver=solver, controller=STEPS, gradient=gradient).require_success().y
    return torch.autograd.grad(y.square().sum(), (y0, *f.parameters()))


@pytest.mark.parametrize("field", [ByAutograd, ByClone])
@every_case
def test_a_field_may_take_gradients_inside(field: type[nn.Module], gradient: str, solver: str) -> None:
    found, true = gradients(field(), gradient, solver), gradients(ByFormula(), gradient, solver)
    assert relative_error(found, true) < 1e-12


class Tied(nn.Module):
    """One layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Linear(2, 2).double()
        self.c = self.a

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.c(torch.tanh(self.a(y)))


@every_case
def test_tied_weights_have_the_summed_gradient_and_stay_tied(gradient: str, solver: str) -> None:
    f = Tied()
    found = gradients(f, gradient, solver)
    apart = nn.ModuleList([nn.Linear(2, 2).double() for _ in range(2)])
    for layer in apart:
        layer.load_state_dict(f.a.state_dict())
    y0 = Y0.clone().requires_grad_()
    how = {"solver": solver, "controller": STEPS, "gradient": gradient, "parameters": tuple(apart.parameters())}
    y = solve(lambda t, y: apart[1](torch.tanh(apart[0](y))), y0, T, **how).y
    of_y0, *of_layers = torch.autograd.grad(y.square().sum(), (y0, *apart.parameters()))
    true = (of_y0, of_layers[0] + of_layers[2], of_layers[1] + of_layers[3])
    assert relative_error(found, true) < 1e-12
    assert isinstance(f.a.weight, nn.Parameter)
    assert f.a.weight is f.c.weight


@every_case
def test_a_plain_function_has_the_gradient_of_the_parameters_passed_to_the_solve(gradient: str, solver: str) -> None:
    f = ByFormula()
    w = f.w.detach().clone().requires_grad_()
    y0 = Y0.clone().requires_grad_()

    def plain(t: Tensor, y: Tensor) -> Tensor:
        q, p = y.unbind(-1)
        return torch.stack((p, -w * q - q**3), dim=-1)

    y = solve(plain, y0, T, solver=solver, controller=STEPS, gradient=gradient, parameters=(w,)).y
    assert relative_error(torch.autograd.grad(y.square().sum(), (y0, w)), gradients(f, gradient, solver)) < 1e-12


def test_a_tensor_held_by_a_function_is_a_constant_though_computed_from_the_input() -> None:
    y = tensor(2.0).requires_grad_()
    held = y.square()
    value, (rows,) = products(lambda y: held * y, (y,), torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close((value, rows), (tensor(8.0), tensor(4.0).view(1, 1)))
    torch.testing.assert_close(torch.autograd.grad(rows.sum(), y), (tensor(4.0),))


class OneAtATime(torch.autograd.Function):
    """y^2 with a backward pass that `vmap` cannot batch, as it branches on a number."""

    @staticmethod
    def forward(ctx: object, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        return y * y

    @staticmethod
    def backward(ctx: object, bar: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return 2 * y * bar if float(bar.abs().sum()) else torch.zeros_like(bar)


@pytest.mark.parametrize("solver", ["implicit_euler", "rodas4"])
def test_a_stiff_solver_takes_an_autograd_function_that_vmap_cannot_batch(solver: str) -> None:
    how = {"solver": solver, "controller": STEPS}
    found = solve(lambda t, y: -OneAtATime.apply(y), Y0, T, **how).y
    torch.testing.assert_close(found, solve(lambda t, y: -y * y, Y0, T, **how).y)


@pytest.mark.parametrize("solver", ["implicit_euler", "rodas4"])
def test_a_field_may_checkpoint_its_layers(solver: str) -> None:
    def field(t: Tensor, y: Tensor) -> Tensor:
        return checkpoint(lambda y: -torch.tanh(y), y, use_reentrant=False)

    found = []
    for f in (field, lambda t, y: -torch.tanh(y)):
        y0 = Y0.clone().requires_grad_()
        y = solve(f, y0, T, solver=solver, controller=STEPS).y
        found.append(torch.autograd.grad(y.square().sum(), y0))
    torch.testing.assert_close(*found)


def jacobian_of(function: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    rows = torch.eye(2, dtype=torch.float64)
    with torch.no_grad():
        return products(function, (y,), rows).rows[0]


@pytest.mark.parametrize("where", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_products_are_right_under_every_grad_mode(where: Callable[[], object]) -> None:
    with where():
        value, (rows,) = products(torch.sin, (Y0.clone(),), torch.eye(2, dtype=torch.float64))
        assert not rows.is_inference() or where is torch.inference_mode
    torch.testing.assert_close(rows.clone(), torch.diag(Y0.cos()))
    torch.testing.assert_close(value.clone(), Y0.sin())


def test_a_state_made_in_inference_mode_has_a_jacobian_outside_it() -> None:
    with torch.inference_mode():
        y = Y0.clone()
    torch.testing.assert_close(jacobian_of(torch.sin, y), torch.diag(Y0.cos()))


@pytest.mark.parametrize("gradient", ADJOINTS)
def test_a_field_that_takes_a_gradient_under_no_grad_is_refused_in_one_line(gradient: str) -> None:
    """The field expects y to require grad, as in programs that were written for one mode only."""
    energy = Energy()

    def field(t: Tensor, y: Tensor) -> Tensor:
        return torch.autograd.grad(energy(y).sum(), y, create_graph=True)[0]

    solver = "reversible_rk4" if gradient == "reversible" else "rk4"
    how = {"solver": solver, "controller": STEPS, "gradient": gradient, "parameters": (energy.w,)}
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=r"^the vector field takes derivatives .*: begin f ") as refused,
    ):
        solve(field, Y0, T, **how)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("gradient", ADJOINTS)
def test_a_start_that_requires_grad_is_solved_under_no_grad(gradient: str) -> None:
    solver = "reversible_rk4" if gradient == "reversible" else "rk4"
    y0 = (2 * PAIRS).requires_grad_()
    how = {"solver": solver, "controller": STEPS, "gradient": gradient}
    with torch.no_grad():
        found = solve(ByAutograd(), y0, T, **how).y
    torch.testing.assert_close(found, solve(ByFormula(), y0.detach(), T, **how).y.detach())


def series() -> Tensor:
    return torch.stack((PAIRS, PAIRS.sin(), PAIRS.cos()))


PAIRS = tensor(0.8, -0.4, 0.3, 0.1).view(2, 2)
How = dict[str, object]
# Models of a field on (..., 2), and a call of the model that gives a tensor.
MODELS_OF: dict[str, Callable[[nn.Module, How], tuple[nn.Module, Callable[[nn.Module], Tensor]]]] = {
    "neural_ode": lambda f, how: (NeuralODE(f, **how), lambda m: m(PAIRS, T)),
    "augmented_neural_ode": lambda f, how: (
        AugmentedNeuralODE(f, augment_dims=1, **how),
        lambda m: m(PAIRS[:, :1], T),
    ),
    "cnf": lambda f, how: (CNF(f, shape=(2,), **how), lambda m: m(PAIRS)[1] + m(PAIRS)[0].sum(1)),
    "cnf, rademacher": lambda f, how: (CNF(f, shape=(2,), trace="rademacher", **how), lambda m: m(PAIRS)[1]),
    "latent_ode": lambda f, how: (
        LatentODE(RecognitionRNN(2, 2, width=3).double(), f, nn.Identity(), noise_std=1.0, **how),
        lambda m: m.elbo(series(), T),
    ),
    "ode_classifier": lambda f, how: (ODEClassifier(NeuralODE(f, **how), nn.Identity()), lambda m: m(PAIRS)),
}


@pytest.mark.parametrize("field", [ByAutograd, ByClone, lambda: Hamiltonian(Total())])
@pytest.mark.parametrize("gradient", ADJOINTS)
@pytest.mark.parametrize("model", MODELS_OF.values(), ids=MODELS_OF)
def test_every_model_takes_fields_that_take_gradients(model: Callable, gradient: str, field: Callable) -> None:
    how = {"solver": "reversible_rk4" if gradient == "reversible" else "rk4", "controller": STEPS, "gradient": gradient}
    found = []
    for f in (field(), ByFormula()):
        torch.manual_seed(0)
        built, call = model(f, how)
        with torch.no_grad():
            assert not call(built).requires_grad
        torch.manual_seed(1)
        found.append(torch.autograd.grad(call(built).sin().sum(), list(f.parameters())))
    assert relative_error(*found) < 1e-10


class Total(Energy):
    """The energy with the signature that `Hamiltonian` needs: (t, y) -> (..., 1)."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return super().forward(y).unsqueeze(-1)
