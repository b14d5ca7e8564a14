"""The divergence tr(df/dy): exact, and by Hutchinson's estimate, whose mean and variance have known formulas."""

import math

import pytest
import torch
from torch import Tensor, nn

from node.models import MLP
from node.models.divergence import TRACES, Divergence

NOW = torch.tensor(0.3, dtype=torch.float64)
DRAWS = 20_000
every_estimate = pytest.mark.parametrize("trace", ["rademacher", "gaussian"])


class CoupledField(nn.Module):
    """A field in which each entry of a sample (..., *shape) depends on all other entries."""

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape
        self.mlp = MLP(math.prod(shape), width=6, time=True, std=1.0)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        flat = y.reshape(*y.shape[: y.dim() - len(self.shape)], -1)
        return self.mlp(t, flat).reshape(y.shape)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def divergence(f: nn.Module, y: Tensor, shape: tuple[int, ...], trace: str) -> tuple[Tensor, Tensor]:
    batch = y.shape[: y.dim() - len(shape)]
    return Divergence(f, TRACES[trace](y, shape), shape)(NOW, (y, y.new_zeros(batch)))


def jacobian(f: nn.Module, sample: Tensor) -> Tensor:
    n = sample.numel()
    return torch.autograd.functional.jacobian(lambda y: f(NOW, y), sample).reshape(n, n)


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("batch", [(), (4,), (2, 2)], ids=str)
def test_the_exact_divergence_is_the_trace_of_each_samples_jacobian(
    batch: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    f, y = CoupledField(*shape).double(), torch.randn(*batch, *shape, dtype=torch.float64)
    dy, trace = divergence(f, y, shape, "exact")
    expected = torch.stack([jacobian(f, sample).trace() for sample in y.reshape(-1, *shape)])
    torch.testing.assert_close(trace, expected.reshape(batch))
    torch.testing.assert_close(dy, f(NOW, y))


@every_estimate
def test_hutchinsons_estimate_has_the_mean_and_variance_of_the_formula(trace: str) -> None:
    """Mean tr J; variance 2 |S|^2 for normal noise, S = (J + J^T) / 2, without the diagonal of S for Rademacher noise.

    Noise that is constant, shared by the samples or different on the two sides of J would fail the mean or variance.
    """
    f, y = CoupledField(3).double(), torch.randn(3, dtype=torch.float64)
    j = jacobian(f, y)
    s = (j + j.t()) / 2
    of_diagonal = s.diagonal().square().sum() if trace == "rademacher" else 0.0
    variance = 2 * (s.square().sum() - of_diagonal)
    _, estimates = divergence(f, y.expand(DRAWS, 3), (3,), trace)
    assert abs(estimates.mean() - j.trace()) < 4 * (variance / DRAWS).sqrt()
    assert estimates.var().item() == pytest.approx(variance.item(), rel=0.1)


def test_rademacher_noise_gives_the_exact_trace_of_a_diagonal_jacobian() -> None:
    f, y = (lambda t, y: torch.sin(t * y)), torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(divergence(f, y, (3,), "rademacher")[1], divergence(f, y, (3,), "exact")[1])


@pytest.mark.parametrize("trace", TRACES)
def test_the_divergence_is_differentiable_in_state_and_parameters(trace: str) -> None:
    f, y = CoupledField(3).double(), torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    probes = TRACES[trace](y, (3,))
    names, values = zip(*f.named_parameters(), strict=True)

    def at(y: Tensor, *parameters: Tensor) -> Tensor:
        def with_parameters(t: Tensor, y: Tensor) -> Tensor:
            return torch.func.functional_call(f, dict(zip(names, parameters, strict=True)), (t, y))

        return Divergence(with_parameters, probes, (3,))(NOW, (y, y.new_zeros(2)))[1]

    assert torch.autograd.gradcheck(at, (y, *values))


@pytest.mark.parametrize("trace", TRACES)
def test_the_divergence_is_the_same_under_no_grad(trace: str) -> None:
    f, y = CoupledField(3).double(), torch.randn(2, 3, dtype=torch.float64)
    field = Divergence(f, TRACES[trace](y, (3,)), (3,))
    with torch.no_grad():
        dy, without = field(NOW, (y, y.new_zeros(2)))
    assert not dy.requires_grad
    assert not without.requires_grad
    assert torch.equal(field(NOW, (y, y.new_zeros(2)))[1], without)


@every_estimate
def test_noise_is_drawn_for_each_field_and_each_sample(trace: str) -> None:
    y = torch.zeros(2, 64)
    first, second = (TRACES[trace](y, (64,)) for _ in range(2))
    assert first.shape == (1, 2, 64)
    assert not torch.equal(first, second)
    assert not torch.equal(first[:, 0], first[:, 1])
