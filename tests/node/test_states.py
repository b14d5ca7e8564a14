"""Tuples, complex tensors and half-precision tensors as states are solved as the equivalent real vector."""

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, FixedStep, PIDController, Solution, solve

TIGHT = PIDController(rtol=1e-9, atol=1e-9)
T = torch.tensor([0.0, 0.3, 1.0, 2.0], dtype=torch.float64)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
every_solver = pytest.mark.parametrize("name", SOLVERS)


def controller_for(name: str) -> FixedStep | PIDController:
    return PIDController(rtol=1e-4, atol=1e-6) if SOLVERS[name].adaptive else FixedStep(dt=0.1)


class Rotation(nn.Module):
    """z' = (decay + i omega cos t) z, for a complex z or for the pair (x, y)."""

    def __init__(self) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.tensor(-0.3, dtype=torch.float64))
        self.omega = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        speed = self.omega * torch.cos(t)
        if isinstance(z, tuple):
            x, y = z
            return self.decay * x - speed * y, self.decay * y + speed * x
        return torch.complex(self.decay.expand_as(speed), speed) * z


def complex_start() -> Tensor:
    return torch.tensor([[1.0 + 0.5j], [-2.0j]], dtype=torch.complex128)


def gradients(field: nn.Module, y: tuple[Tensor, Tensor], y0: tuple[Tensor, ...]) -> list[Tensor]:
    loss = (y[0] * y[1]).sum() + y[0][-1].square().sum()
    return list(torch.autograd.grad(loss, (*y0, *field.parameters())))


@every_solver
def test_a_tuple_is_solved_as_the_concatenation_of_its_parts(name: str) -> None:
    how = {"solver": name, "controller": controller_for(name)}
    a, b = torch.tensor([[1.0, -0.5]], dtype=torch.float64), torch.tensor([2.0, 0.1, 0.3], dtype=torch.float64)

    def f(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return y[0] * torch.cos(t) + y[1].sum(), -y[1] * y[0].mean()

    def flat(t: Tensor, y: Tensor) -> Tensor:
        da, db = f(t, (y[:2].view(1, 2), y[2:]))
        return torch.cat((da.reshape(-1), db))

    parts = solve(f, (a, b), T, **how).require_success()
    whole = solve(flat, torch.cat((a.reshape(-1), b)), T, **how).require_success()
    assert [tuple(part.shape) for part in parts.y] == [(4, 1, 2), (4, 3)]
    assert torch.equal(torch.cat([part.reshape(4, -1) for part in parts.y], dim=1), whole.y)
    assert parts.stats == whole.stats


@every_gradient
def test_a_complex_state_and_its_gradients_equal_those_of_the_pair_of_its_parts(gradient: str) -> None:
    """Steps are fixed, as the error norm of a complex state is of moduli."""
    field, how = Rotation(), {"solver": "dopri5", "controller": FixedStep(dt=0.05), "gradient": gradient}
    z0 = complex_start().requires_grad_()
    pair = z0.detach().real.clone().requires_grad_(), z0.detach().imag.clone().requires_grad_()
    z = solve(field, z0, T, **how).require_success().y
    x, y = solve(field, pair, T, **how).require_success().y
    torch.testing.assert_close(torch.view_as_real(z), torch.stack((x, y), dim=-1), rtol=1e-13, atol=1e-14)
    of_z = gradients(field, (z.real, z.imag), (z0,))
    of_pair = gradients(field, (x, y), pair)
    torch.testing.assert_close(torch.view_as_real(of_z[0]), torch.stack(of_pair[:2], dim=-1), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(of_z[1:], of_pair[2:], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["dopri5", "tsit5", "dopri8"])
def test_a_complex_state_ends_in_the_exact_solution(name: str) -> None:
    z0 = complex_start()
    z = solve(Rotation(), z0, T, solver=name, controller=TIGHT).require_success().y
    exact = z0 * torch.exp(torch.complex(-0.3 * T, 2.0 * torch.sin(T))).view(-1, 1, 1)
    torch.testing.assert_close(z, exact, rtol=1e-7, atol=1e-8)


def test_multiplying_a_complex_state_by_i_changes_no_step() -> None:
    """The error norm is of moduli, which are the same for z and i z."""
    straight, rotated = (
        solve(Rotation(), factor * complex_start(), T, solver="dopri5", controller=TIGHT) for factor in (1.0, 1j)
    )
    assert straight.stats == rotated.stats
    torch.testing.assert_close(1j * straight.y, rotated.y)


@pytest.mark.exhaustive
@every_gradient
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_half_precision_state_is_right_to_its_resolution_after_a_thousand_steps(
    dtype: torch.dtype, gradient: str
) -> None:
    """In a sum in half precision, steps of 0.001 would be lost in rounding; the sum is kept in float32."""
    seen: set[torch.dtype] = set()

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.add(y.dtype)
        return -y * torch.cos(t).to(y)

    y0 = torch.tensor([1.0, -3.0], dtype=dtype, requires_grad=True)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.001), "gradient": gradient, "parameters": ()}
    solution = solve(f, y0, torch.tensor([0.0, 1.0]), **how).require_success()
    resolution = torch.finfo(dtype).eps
    exact = y0.detach().double() * math.exp(-math.sin(1.0))
    assert solution.y.dtype == dtype
    assert seen == {dtype}
    torch.testing.assert_close(solution.y[-1].double(), exact, rtol=2 * resolution, atol=0)
    solution.y[-1].sum().backward()
    torch.testing.assert_close(y0.grad.double(), (exact / y0.detach()).double(), rtol=4 * resolution, atol=0)


def in_float32(**tolerance: float) -> Solution:
    controller = PIDController(**tolerance)
    return solve(lambda t, y: -y, torch.ones(2), torch.tensor([0.0, 0.1]), solver="dopri5", controller=controller)


def test_a_tolerance_below_the_resolution_of_the_dtype_warns_once_and_names_both() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            in_float32(rtol=1e-9, atol=1e-12)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        "rtol=1e-09, atol=1e-12 are below the resolution of torch.float32, 1.2e-07"
    )


@pytest.mark.parametrize("tolerance", [{"rtol": 1e-6, "atol": 0.0}, {"rtol": 0.0, "atol": 1e-6}])
def test_a_tolerance_above_the_resolution_of_the_dtype_gives_no_warning(tolerance: dict[str, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_float32(**tolerance)


def test_each_entry_is_kept_to_its_own_tolerance() -> None:
    """One entry must be exact beside another that may have any error."""
    y0 = torch.ones(2, dtype=torch.float64)

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.stack((torch.cos(t) * y[0], 5 * torch.cos(20 * t) * y[1]))

    def steps(atol: Tensor | float) -> Solution:
        return solve(f, y0, T, solver="dopri5", controller=PIDController(rtol=1e-9, atol=atol))

    loose = steps(torch.tensor([1e-9, 1e3], dtype=torch.float64))
    tight = steps(1e-9)
    assert loose.stats.n_accepted < 0.5 * tight.stats.n_accepted
    torch.testing.assert_close(loose.y[:, 0], T.sin().exp(), rtol=1e-7, atol=0)
    in_tuple = solve(
        lambda t, y: tuple(f(t, torch.cat(y)).split(1)), tuple(y0.split(1)), T,
        solver="dopri5", controller=PIDController(rtol=1e-9, atol=(1e-9, 1e3)),
    )  # fmt: skip
    assert in_tuple.stats == loose.stats
