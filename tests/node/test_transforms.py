"""Solves within transforms of torch.func and modes of autograd: as by plain autograd, or refused with a remedy."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, jacobian
from torch.utils.checkpoint import checkpoint

from node import ADJOINTS, SOLVERS, Event, FixedStep, PIDController, solve
from tests.support.gradients import tensor

T, Y0 = tensor(0.0, 0.3, 0.5), tensor(0.8, -0.4)
STEPS = FixedStep(dt=0.05)
CASES = {
    f"{gradient}-{solver}": {"gradient": gradient, "solver": solver}
    for gradient in ADJOINTS
    for solver in ("rk4", "implicit_euler", "rodas4", "reversible_rk4")
    if not ADJOINTS[gradient].unsupported(SOLVERS[solver])
}
How = dict[str, str]
every_case = pytest.mark.parametrize("how", CASES.values(), ids=CASES)
BACKPROP = [how for how in CASES.values() if how["gradient"] == "backprop"]
every_backprop = pytest.mark.parametrize("how", BACKPROP, ids=lambda how: how["solver"])
every_other_mode = pytest.mark.parametrize(
    "how", [how for how in CASES.values() if how["gradient"] != "backprop"], ids=lambda how: "-".join(how.values())
)


class Net(nn.Module):
    """y' = tanh(W y) + cos(t) / 10."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(tensor(0.3, -0.8, 0.6, -0.4).view(2, 2))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.w) + 0.1 * torch.cos(t)


NET = Net()


class EndOfSolve:
    """The end of a solve and a loss of it, as functions of y0."""

    def __init__(self, how: How):
        self.how = how

    def end(self, y0: Tensor) -> Tensor:
        return solve(NET, y0, T, controller=STEPS, **self.how).y[-1]

    def loss(self, y0: Tensor) -> Tensor:
        return self.end(y0).square().sum()

    def gradient(self) -> Tensor:
        """dL/dy0, by plain autograd."""
        y0 = Y0.clone().requires_grad_()
        return torch.autograd.grad(self.loss(y0), y0)[0]


def dual(ends: EndOfSolve) -> Tensor:
    with forward_ad.dual_level():
        end = ends.end(forward_ad.make_dual(Y0, tensor(1.0, 2.0)))
        return forward_ad.unpack_dual(end).tangent


# Jacobians of the end and Hessians of the loss by transforms.
JACOBIANS: dict[str, Callable[[EndOfSolve], Tensor]] = {
    "jacrev": lambda ends: torch.func.jacrev(ends.end)(Y0),
    "jacfwd": lambda ends: torch.func.jacfwd(ends.end)(Y0),
}
HESSIANS: dict[str, Callable[[EndOfSolve], Tensor]] = {
    "hessian": lambda ends: torch.func.hessian(ends.loss)(Y0),
    "jacrev of jacrev": lambda ends: torch.func.jacrev(torch.func.jacrev(ends.loss))(Y0),
    "functional.hessian, vectorize": lambda ends: hessian(ends.loss, Y0, vectorize=True),
}


@pytest.mark.parametrize("compute", JACOBIANS.values(), ids=JACOBIANS)
@every_backprop
def test_jacobians_by_torch_func_are_right_in_backprop(compute: Callable[[EndOfSolve], Tensor], how: How) -> None:
    torch.testing.assert_close(compute(EndOfSolve(how)), jacobian(EndOfSolve(how).end, Y0))


@pytest.mark.parametrize("compute", HESSIANS.values(), ids=HESSIANS)
@every_backprop
def test_hessians_are_right_in_backprop(compute: Callable[[EndOfSolve], Tensor], how: How) -> None:
    torch.testing.assert_close(compute(EndOfSolve(how)), hessian(EndOfSolve(how).loss, Y0))


@every_backprop
def test_gradients_and_dual_numbers_are_right_in_backprop(how: How) -> None:
    ends = EndOfSolve(how)
    torch.testing.assert_close(torch.func.grad(ends.loss)(Y0), ends.gradient())
    torch.testing.assert_close(dual(ends), jacobian(ends.end, Y0) @ tensor(1.0, 2.0))
    with torch.no_grad():
        torch.testing.assert_close(dual(ends), jacobian(ends.end, Y0) @ tensor(1.0, 2.0))


@every_other_mode
def test_other_modes_refuse_torch_func_and_dual_numbers_with_a_remedy(how: How) -> None:
    ends = EndOfSolve(how)
    mode = how["gradient"]
    for compute in (*JACOBIANS.values(), HESSIANS["hessian"], lambda ends: torch.func.grad(ends.loss)(Y0)):
        with pytest.raises(ValueError, match=f"^torch.func does not go through {mode}, .*: pass gradient='backprop'"):
            compute(ends)
    with pytest.raises(ValueError, match=f"^{mode} has no forward-mode derivative: pass gradient='backprop'"):
        dual(ends)


@every_case
def test_a_vectorised_jacobian_is_right_or_refused(how: How) -> None:
    ends = EndOfSolve(how)
    if how["gradient"] == "backprop":
        torch.testing.assert_close(jacobian(ends.end, Y0, vectorize=True), jacobian(ends.end, Y0))
    else:
        with pytest.raises(RuntimeError, match=f"^{how['gradient']} goes back for one loss at a time: leave out vec"):
            jacobian(ends.end, Y0, vectorize=True)


@pytest.mark.parametrize(
    ("batched", "how"),
    [(batched, how) for batched in ("y0", "w", "t") for how in CASES.values() if batched != "w" or how in BACKPROP],
)
def test_vmap_over_a_solve_is_refused_in_one_line(batched: str, how: How) -> None:
    def of_w(w: Tensor) -> Tensor:
        return solve(lambda t, y: torch.tanh(y @ w), Y0, T, controller=STEPS, **how).y[-1]

    over = {
        "y0": lambda: torch.vmap(EndOfSolve(how).end)(Y0.expand(3, 2)),
        "w": lambda: torch.vmap(of_w)(NET.w.detach().expand(3, 2, 2)),
        "t": lambda: torch.vmap(lambda t: solve(NET, Y0, t, controller=STEPS, **how).y)(T.expand(3, 3)),
    }
    with pytest.raises(
        ValueError, match=re.escape("torch.vmap cannot go over a solve, whose steps depend on")
    ) as refused:
        over[batched]()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("compute", [torch.func.jacfwd, lambda f: lambda t: torch.func.jvp(f, (t,), (t,))])
def test_forward_mode_over_output_times_is_refused(compute: Callable) -> None:
    """Zero would be silently wrong."""
    how = {"solver": "rk4", "controller": STEPS}
    with pytest.raises(ValueError, match=r"^t has a tangent, .*: take reverse mode"):
        compute(lambda t: solve(NET, Y0, t, **how).y[-1])(T)
    by_reverse = torch.func.jacrev(lambda t: solve(NET, Y0, t, **how).y[-1])(T)
    t = T.clone().requires_grad_()
    rows = [torch.autograd.grad(x, t, retain_graph=True)[0] for x in solve(NET, Y0, t, **how).y[-1]]
    torch.testing.assert_close(by_reverse, torch.stack(rows))


def test_torch_func_over_events_and_per_sample_stepping_is_refused() -> None:
    how = {"solver": "rk4", "controller": STEPS}
    event = Event(lambda t, y: y[0] - 0.85)
    with pytest.raises(ValueError, match=r"^torch.func does not go through a solve with an event"):
        torch.func.grad(lambda y: solve(NET, y, T, event=event, **how).y[-1].sum())(Y0)
    with pytest.raises(ValueError, match=r"^torch.func does not go through a solve with batch='independent'"):
        torch.func.grad(lambda y: solve(NET, y, T, batch="independent", **how).y[-1].sum())(Y0.view(1, 2))


def under_anomaly(ends: EndOfSolve, y0: Tensor) -> Tensor:
    with torch.autograd.set_detect_anomaly(True):
        return torch.autograd.grad(ends.loss(y0), y0)[0]


def saved_on_cpu(ends: EndOfSolve, y0: Tensor) -> Tensor:
    with torch.autograd.graph.save_on_cpu():
        loss = ends.loss(y0)
    return torch.autograd.grad(loss, y0)[0]


def saved_as_copies(ends: EndOfSolve, y0: Tensor) -> Tensor:
    """The gradient under hooks of saved tensors that return other tensors."""
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
        loss = ends.loss(y0)
    return torch.autograd.grad(loss, y0)[0]


def from_checkpoint(ends: EndOfSolve, y0: Tensor) -> Tensor:
    return torch.autograd.grad(checkpoint(ends.loss, y0, use_reentrant=False), y0)[0]


def from_reentrant_checkpoint(ends: EndOfSolve, y0: Tensor) -> Tensor:
    checkpoint(ends.loss, y0, use_reentrant=True).backward()
    return y0.grad


@pytest.mark.parametrize(
    "compute", [under_anomaly, saved_on_cpu, saved_as_copies, from_checkpoint, from_reentrant_checkpoint]
)
@every_case
def test_modes_of_autograd_around_a_solve_do_not_change_its_gradient(compute: Callable, how: How) -> None:
    torch.testing.assert_close(compute(EndOfSolve(how), Y0.clone().requires_grad_()), EndOfSolve(how).gradient())


@every_case
def test_inference_mode_gives_the_states(how: How) -> None:
    ends = EndOfSolve(how)
    with torch.inference_mode():
        found = ends.end(Y0.clone())
    torch.testing.assert_close(found.clone(), ends.end(Y0))


class ReadsEmbedding(nn.Module):
    """y' = sin(y e), e a row of an embedding."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        self.rows = nn.Embedding(5, 2, sparse=sparse, dtype=torch.float64)
        nn.init.constant_(self.rows.weight, 0.7)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.sin(y * self.rows(torch.tensor(3)))


def gradient_in_rows(how: How, *, sparse: bool) -> Tensor:
    f = ReadsEmbedding(sparse=sparse)
    solve(f, Y0.clone().requires_grad_(), T, controller=STEPS, **how).y[-1].square().sum().backward()
    return f.rows.weight.grad.to_dense()


@every_case
def test_an_embedding_with_sparse_gradients_has_the_dense_gradients_or_is_refused(how: How) -> None:
    if how["gradient"] == "forward":
        with pytest.raises(ValueError, match=r"^forward cannot .*: build it with sparse=False"):
            gradient_in_rows(how, sparse=True)
    else:
        torch.testing.assert_close(gradient_in_rows(how, sparse=True), gradient_in_rows(how, sparse=False))


def test_torch_func_takes_derivatives_of_an_adaptive_solve() -> None:
    def loss(y0: Tensor) -> Tensor:
        controller = PIDController(rtol=1e-6, atol=1e-6)
        return solve(NET, y0, T, solver="dopri5", controller=controller).y[-1].square().sum()

    torch.testing.assert_close(torch.func.hessian(loss)(Y0), hessian(loss, Y0))
