"""A continuous normalising flow: its density is exact, integrates to one and is that of its samples."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Laplace, MultivariateNormal, Normal

from node import FixedStep, PIDController
from node.models import CNF, MLP

PRECISE = PIDController(rtol=1e-9, atol=1e-9)
A = torch.tensor([[0.3, 0.8], [-0.5, 0.4]], dtype=torch.float64)


class Linear(nn.Module):
    """y' = A y, which maps y(0) to y(1) = exp(A) y(0) with determinant exp(tr A)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(A.clone())

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return y @ self.a.t()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def linear_flow(**how: object) -> CNF:
    return CNF(Linear(), "dopri8", shape=(2,), controller=PRECISE, **how).double()


def nonlinear_flow(**how: object) -> CNF:
    """A flow whose density is far from normal."""
    field = MLP(2, width=16, time=True, std=0.4)
    return CNF(field, "rk4", shape=(2,), controller=FixedStep(dt=0.05), **how).double()


def points(n: int = 7) -> Tensor:
    return torch.randn(n, 2, dtype=torch.float64)


def grid(half_width: float, n: int) -> tuple[Tensor, float]:
    """The points (n^2, 2) of a square grid around the origin, and the area of a cell of the grid."""
    side = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    return torch.cartesian_prod(side, side), (2 * half_width / (n - 1)) ** 2


def test_the_density_under_a_linear_field_is_that_of_the_change_of_variables() -> None:
    x, e = points(), torch.matrix_exp(A)
    z, log_det = linear_flow()(x)
    torch.testing.assert_close(z, x @ torch.linalg.inv(e).t(), rtol=0, atol=1e-7)
    torch.testing.assert_close(log_det, -A.trace().expand(7), rtol=0, atol=1e-7)
    expected = MultivariateNormal(torch.zeros(2, dtype=torch.float64), e @ e.t()).log_prob(x)
    torch.testing.assert_close(linear_flow().log_density(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_log_determinant_is_that_of_the_jacobian_of_the_map(direction: str) -> None:
    flow, x = nonlinear_flow(), points(4)
    mapped = getattr(flow, direction)
    jacobians = [torch.autograd.functional.jacobian(lambda x: mapped(x)[0], sample) for sample in x]
    expected = torch.stack([jacobian.slogdet()[1] for jacobian in jacobians])
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(mapped(x)[1], expected, rtol=0, atol=1e-5)


def test_the_inverse_map_gives_the_input_back_and_the_negative_log_determinant() -> None:
    flow, x = nonlinear_flow(), points()
    z, log_det = flow(x)
    back, log_det_back = flow.inverse(z)
    assert (z - x).abs().mean() > 0.1
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_det_back, -log_det, rtol=0, atol=1e-5)


@pytest.mark.exhaustive
def test_the_density_integrates_to_one_and_is_that_of_the_samples() -> None:
    """The mean log-density of samples equals the integral of p log p on a grid, to four standard errors."""
    flow = nonlinear_flow()
    x, area = grid(8.0, 161)
    with torch.no_grad():
        log_p = flow.log_density(x)
        of_samples = flow.log_density(flow.sample(2000))
    assert (log_p.exp().sum() * area).item() == pytest.approx(1.0, abs=1e-3)
    assert abs(log_p - Normal(0.0, 1.0).log_prob(x).sum(-1)).mean() > 0.5
    negative_entropy = (log_p.exp() * log_p).sum() * area
    assert abs(of_samples.mean() - negative_entropy) < 4 * of_samples.std() / math.sqrt(2000)


def test_samples_are_mapped_samples_of_the_base_density() -> None:
    flow = nonlinear_flow()
    torch.manual_seed(1)
    x = flow.sample(6)
    torch.manual_seed(1)
    assert x.shape == (6, 2)
    assert not x.requires_grad
    torch.testing.assert_close(flow(x)[0], flow.base.sample((6,)), rtol=0, atol=1e-5)


def test_another_base_density_replaces_the_normal_one() -> None:
    zeros = torch.zeros(2, dtype=torch.float64)
    base = Independent(Laplace(zeros, 0.5), 1)
    flow, x = linear_flow(base=base), points()
    z = x @ torch.linalg.inv(torch.matrix_exp(A)).t()
    expected = (-z.abs() / 0.5 - math.log(2 * 0.5)).sum(-1) - A.trace()
    torch.testing.assert_close(flow.log_density(x), expected, rtol=0, atol=1e-6)
    assert flow.base is base


def test_rademacher_noise_is_constant_during_a_solve_and_drawn_for_each_solve() -> None:
    """e^T A e is tr A +- (A_12 + A_21), constant if e is; the mean over changing signs would lie between these two."""
    flow, x = linear_flow(trace="rademacher"), points(64)
    flow.controller = FixedStep(dt=0.1)
    either = torch.stack([A.trace() + sign * (A[0, 1] + A[1, 0]) for sign in (-1, 1)])
    found = [-flow(x)[1] for _ in range(2)]
    for log_det in found:
        assert (log_det[:, None] - either).abs().min(dim=1).values.max() < 1e-7
    assert not torch.allclose(*found)


@pytest.mark.parametrize("gradient", ["backprop", "adjoint"])
@pytest.mark.parametrize("trace", ["rademacher", "gaussian"])
def test_a_later_forward_pass_does_not_change_the_noise_of_an_earlier_one(trace: str, gradient: str) -> None:
    flow, x = nonlinear_flow(trace=trace, gradient=gradient), points()
    gradients = []
    for later in (False, True):
        torch.manual_seed(1)
        log_p = flow.log_density(x).sum()
        if later:
            flow.log_density(x)
        gradients.append(torch.autograd.grad(log_p, list(flow.parameters())))
    for alone, followed in zip(*gradients, strict=True):
        assert torch.equal(alone, followed)


def test_a_sample_may_have_any_shape() -> None:
    flow = CNF(lambda t, y: -y, "dopri8", shape=(2, 3), controller=PRECISE).double()
    x = torch.randn(5, 4, 2, 3, dtype=torch.float64)
    z, log_det = flow(x)
    torch.testing.assert_close(z, x * math.e)
    torch.testing.assert_close(log_det, torch.full((5, 4), 6.0, dtype=torch.float64))
    assert flow.sample(7).shape == (7, 2, 3)


def test_a_wrong_base_shape_or_trace_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^base has event shape \(\) and a sample has \(2,\)"):
        linear_flow(base=Normal(0.0, 1.0))
    with pytest.raises(ValueError, match=r"^x has shape \(5, 3\): it must end in \(2,\)"):
        linear_flow()(torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"^unknown trace 'exakt'. Did you mean 'exact'\?"):
        linear_flow(trace="exakt")(points())
