"""The derivatives of f in y and t for stiff solvers: exact, for each sample, from one call of f."""

import math

import torch
from torch import Tensor

from node.jacobian import factors, linearise
from node.user_field import UserField
from tests.support.gradients import tensor
from tests.support.stiffs import BATCH, TIMES, Oscillator


def jacobian(y: Tensor) -> Tensor:
    x, v = y.tolist()
    return tensor(0, 1, -6 * x * v - 1, 3 * (1 - x * x)).view(2, 2)


def test_derivatives_are_exact_and_cost_one_call() -> None:
    f = UserField.of(Oscillator(), BATCH[1])
    found = linearise(f, 0.7, BATCH[1], solver="")
    torch.testing.assert_close(found.f, f(0.7, BATCH[1]))
    torch.testing.assert_close(found.dy, jacobian(BATCH[1]))
    torch.testing.assert_close(found.dt, tensor(0.0, -2 * math.sin(1.4)))
    assert f.calls == 2


def test_each_sample_has_its_own_derivatives_from_one_call_in_the_batchs_shape() -> None:
    seen = []

    def field(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.shape, y.shape))
        return Oscillator()(t, y)

    found = linearise(UserField.of(field, BATCH, samples=True), TIMES, BATCH, solver="")
    assert seen == [((3, 1), (3, 2))]
    torch.testing.assert_close(found.dy, torch.stack([jacobian(y) for y in BATCH]))
    torch.testing.assert_close(found.dt[:, 1:], -2 * torch.sin(2 * TIMES))


def test_a_joint_batch_has_a_block_diagonal_jacobian() -> None:
    found = linearise(UserField.of(Oscillator(), BATCH), 0.7, BATCH.view(-1), solver="")
    torch.testing.assert_close(found.dy, torch.block_diag(*map(jacobian, BATCH)))


def test_a_complex_state_has_the_jacobian_of_its_real_and_imaginary_parts() -> None:
    y = torch.tensor([1.0 + 2.0j, 3.0 - 1.0j], dtype=torch.complex128)
    found = linearise(UserField.of(lambda t, y: y * y.conj().flip(0) + 1j * t, y), 0.7, y, solver="")

    def parts(x: Tensor) -> Tensor:
        z = torch.view_as_complex(x.view(2, 2))
        return torch.view_as_real(z * z.conj().flip(0)).view(-1)

    torch.testing.assert_close(found.dy, torch.autograd.functional.jacobian(parts, torch.view_as_real(y).view(-1)))
    torch.testing.assert_close(found.dt, torch.full_like(y, 1j))
    b = torch.tensor([1.0j, 2.0], dtype=torch.complex128)
    x = factors(2.0, 0.1, found.dy).solve(b)
    real = 2.0 * torch.eye(4, dtype=torch.float64) - 0.1 * found.dy
    torch.testing.assert_close(real @ torch.view_as_real(x).view(-1), torch.view_as_real(b).view(-1))


def test_the_derivative_in_time_at_a_jump_is_that_from_inside() -> None:
    """At a jump f is called just inside the step."""
    f = UserField.of(lambda t, y: y * t.square(), torch.ones(1, dtype=torch.float64))
    f.between(0.5, 1.0)
    torch.testing.assert_close(linearise(f, 0.5, tensor(1.0), solver="").dt, tensor(1.0))
    ones, ends = torch.ones(3, 2, 1, dtype=torch.float64), tensor(0.5, 0.6, 0.7).view(3, 1)
    f = UserField.of(lambda t, y: y * t.square(), ones, samples=True)
    f.between_columns(ends, ends + 1)
    torch.testing.assert_close(linearise(f, ends, ones.view(3, 2), solver="").dt, 2 * ends.expand(3, 2))
