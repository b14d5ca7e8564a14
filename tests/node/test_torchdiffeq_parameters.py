"""odeint_adjoint: the parameters that get gradients."""

import copy

import pytest
import torch
import torchdiffeq
from torch import Tensor

import node
from tests.support.torchdiffeq_pairs import Y0, Field, Wide, tensor

close = torch.testing.assert_close


def test_only_adjoint_params_get_gradients() -> None:
    w, v = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.7, 0.2))
    with pytest.warns(UserWarning, match=r"not among the parameters given, of shape \(\): they get no gradient"):
        y = node.odeint_adjoint(lambda t, y: w * y + v, Y0, tensor(0.0, 1.0), adjoint_params=(p for p in (w,)))
    y.sum().backward()
    true = torch.autograd.grad(node.odeint(lambda t, y: w * y + v, Y0, tensor(0.0, 1.0)).sum(), w)
    close(w.grad, true[0], rtol=1e-6, atol=0)
    assert v.grad is None


def test_a_plain_function_needs_no_adjoint_params_other_than_in_torchdiffeq() -> None:
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"adjoint_params"):
        torchdiffeq.odeint_adjoint(lambda t, y: w * y, Y0, tensor(0.0, 1.0))
    for options in ({}, {"norm": lambda state: torch.stack([part.abs().max() for part in state]).max()}):
        y = node.odeint_adjoint(lambda t, y: w * y, Y0, tensor(0.0, 1.0), adjoint_options=options)
        (found,) = torch.autograd.grad(y[-1].sum(), w)
        assert found.item() == pytest.approx(Y0.sum().item() * torch.tensor(0.7).exp().item(), rel=1e-5)


def test_a_parameter_that_requires_no_grad_is_left_out_of_a_norm_with_a_warning() -> None:
    f, shapes = Wide(), []

    def norm(state: tuple[Tensor, ...]) -> Tensor:
        shapes.append(len(state))
        return torch.stack([part.abs().max() for part in state]).max()

    f.outer.requires_grad_(False)
    with pytest.warns(UserWarning, match="requires no grad is left out"):
        y = node.odeint_adjoint(f, Y0, tensor(0.0, 1.0), adjoint_options={"norm": norm})
    y.sum().backward()
    assert set(shapes) == {4}
    assert f.outer.grad is None


def test_a_replica_of_data_parallel_passes_gradients_to_its_module() -> None:
    f = Field()
    replica = copy.copy(f)
    replica._parameters, replica._is_replica = {}, True
    replica.a = f.a * 1.0
    node.odeint_adjoint(replica, Y0, tensor(0.0, 1.0)).sum().backward()
    direct = Field()
    node.odeint_adjoint(direct, Y0, tensor(0.0, 1.0)).sum().backward()
    close(f.a.grad, direct.a.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_parameter_of_another_dtype_gets_its_gradient_in_its_own_dtype(dtype: torch.dtype) -> None:
    other = torch.float64 if dtype == torch.float32 else torch.float32
    w = torch.tensor(0.7, dtype=other, requires_grad=True)
    y0 = Y0.to(dtype)

    def f(t: Tensor, y: Tensor) -> Tensor:
        assert y.dtype == dtype
        return w.to(dtype) * y

    y = node.odeint_adjoint(f, y0, tensor(0.0, 1.0), rtol=1e-5, atol=1e-5, adjoint_params=(w,))
    y[-1].sum().backward()
    assert w.grad.dtype == other
    assert w.grad.item() == pytest.approx(Y0.sum().item() * torch.tensor(0.7).exp().item(), rel=1e-3)


def test_a_complex_parameter_gets_its_gradient() -> None:
    """y' = w y with complex y and w: y = y0 exp(w t)."""
    w = torch.tensor(0.3 + 1.1j, dtype=torch.complex128, requires_grad=True)
    y0 = torch.tensor([1 + 0.5j, -0.3 + 2j], dtype=torch.complex128)
    norms = ({}, {"norm": "seminorm"}, {"norm": lambda s: torch.stack([x.abs().max() for x in s]).max()})
    for adjoint_options in norms:
        y = node.odeint_adjoint(
            lambda t, y: w * y, y0, tensor(0.0, 1.0), adjoint_params=(w,), adjoint_options=adjoint_options
        )
        (found,) = torch.autograd.grad(y[-1].abs().square().sum() + y[-1].real.sum(), w)
        exact = y0 * torch.exp(w)
        (true,) = torch.autograd.grad(exact.abs().square().sum() + exact.real.sum(), w)
        close(found, true, rtol=1e-6, atol=0)
