"""torch's transforms and modes around a solve: each gives what plain autograd gives, or one line says what works."""

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
WAYS = {
    f"{gradient}-{solver}": {"gradient": gradient, "solver": solver}
    for gradient in ADJOINTS
    for solver in ("rk4", "implicit_euler", "rodas4", "reversible_rk4")
    if not ADJOINTS[gradient].unsupported(SOLVERS[solver])
}
How = dict[str, str]
every_way = pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
BACKPROP = [how for how in WAYS.values() if how["gradient"] == "backprop"]
every_backprop = pytest.mark.parametrize("how", BACKPROP, ids=lambda how: how["solver"])
every_other_mode = pytest.mark.parametrize(
    "how", [how for how in WAYS.values() if how["gradient"] != "backprop"], ids=lambda how: "-".join(how.values())
)


class Net(nn.Module):
    """tanh(W y) + cos(t) / 10."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(tensor(0.3, -0.8, 0.6, -0.4).view(2, 2))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.w) + 0.1 * torch.cos(t)


NET = Net()


class Ends:
    """The end of a solve and a loss of it, as functions of y0."""

    def __init__(self, how: How):
        self.how = how

    def end(self, y0: Tensor) -> Tensor:
        return solve(NET, y0, T, controller=STEPS, **self.how).y[-1]

    def loss(self, y0: Tensor) -> Tensor:
        return self.end(y0).square().sum()

    def slope(self) -> Tensor:
        """dL/dy0, by plain autograd."""
        y0 = Y0.clone().requires_grad_()
        return torch.autograd.grad(self.loss(y0), y0)[0]


def dual(ends: Ends) -> Tensor:
    with forward_ad.dual_level():
        end = ends.end(forward_ad.make_dual(Y0, tensor(1.0, 2.0)))
        return forward_ad.unpack_dual(end).tangent


# What is taken of `Ends`, and the same by reverse mode without a transform.
JACOBIANS: dict[str, Callable[[Ends], Tensor]] = {
    "jacrev": lambda ends: torch.func.jacrev(ends.end)(Y0),
    "jacfwd": lambda ends: torch.func.jacfwd(ends.end)(Y0),
}
HESSIANS: dict[str, Callable[[Ends], Tensor]] = {
    "hessian": lambda ends: torch.func.hessian(ends.loss)(Y0),
    "jacrev of jacrev": lambda ends: torch.func.jacrev(torch.func.jacrev(ends.loss))(Y0),
    "functional.hessian, vectorize": lambda ends: hessian(ends.loss, Y0, vectorize=True),
}


@pytest.mark.parametrize("take", JACOBIANS.values(), ids=JACOBIANS)
@every_backprop
def test_jacobians_by_torch_func_are_right_in_backprop(take: Callable[[Ends], Tensor], how: How) -> None:
    torch.testing.assert_close(take(Ends(how)), jacobian(Ends(how).end, Y0))


@pytest.mark.parametrize("take", HESSIANS.values(), ids=HESSIANS)
@every_backprop
def test_hessians_are_right_in_backprop(take: Callable[[Ends], Tensor], how: How) -> None:
    torch.testing.assert_close(take(Ends(how)), hessian(Ends(how).loss, Y0))


@every_backprop
def test_gradients_and_dual_numbers_are_right_in_backprop(how: How) -> None:
    ends = Ends(how)
    torch.testing.assert_close(torch.func.grad(ends.loss)(Y0), ends.slope())
    torch.testing.assert_close(dual(ends), jacobian(ends.end, Y0) @ tensor(1.0, 2.0))
    with torch.no_grad():
        torch.testing.assert_close(dual(ends), jacobian(ends.end, Y0) @ tensor(1.0, 2.0))


@every_other_mode
def test_other_modes_refuse_torch_func_and_dual_numbers_and_say_what_works(how: How) -> None:
    ends = Ends(how)
    mode = how["gradient"]
    for take in (*JACOBIANS.values(), HESSIANS["hessian"], lambda ends: torch.func.grad(ends.loss)(Y0)):
        with pytest.raises(ValueError, match=f"^torch.func does not go through {mode}, .*: pass gradient='backprop'"):
            take(ends)
    with pytest.raises(ValueError, match=f"^{mode} has no forward-mode derivative: pass gradient='backprop'"):
        dual(ends)


@every_way
def test_a_jacobian_of_many_losses_at_once_is_right_or_refused(how: How) -> None:
    ends = Ends(how)
    if how["gradient"] == "backprop":
        torch.testing.assert_close(jacobian(ends.end, Y0, vectorize=True), jacobian(ends.end, Y0))
    else:
        with pytest.raises(RuntimeError, match=f"^{how['gradient']} goes back for one loss at a time: leave out vec"):
            jacobian(ends.end, Y0, vectorize=True)


@pytest.mark.parametrize(
    ("batched", "how"),
    [(batched, how) for batched in ("y0", "w", "t") for how in WAYS.values() if batched != "w" or how in BACKPROP],
)
def test_vmap_over_a_solve_is_refused_with_what_works(batched: str, how: How) -> None:
    def of_w(w: Tensor) -> Tensor:
        return solve(lambda t, y: torch.tanh(y @ w), Y0, T, controller=STEPS, **how).y[-1]

    over = {
        "y0": lambda: torch.vmap(Ends(how).end)(Y0.expand(3, 2)),
        "w": lambda: torch.vmap(of_w)(NET.w.detach().expand(3, 2, 2)),
        "t": lambda: torch.vmap(lambda t: solve(NET, Y0, t, controller=STEPS, **how).y)(T.expand(3, 3)),
    }
    with pytest.raises(ValueError, match=re.escape("torch.vmap cannot go over a solve, whose steps depend on")) as told:
        over[batched]()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("take", [torch.func.jacfwd, lambda f: lambda t: torch.func.jvp(f, (t,), (t,))])
def test_forward_mode_over_output_times_is_refused(take: Callable) -> None:
    """Not zero."""
    how = {"solver": "rk4", "controller": STEPS}
    with pytest.raises(ValueError, match=r"^t has a tangent, .*: take reverse mode"):
        take(lambda t: solve(NET, Y0, t, **how).y[-1])(T)
    by_reverse = torch.func.jacrev(lambda t: solve(NET, Y0, t, **how).y[-1])(T)
    t = T.clone().requires_grad_()
    rows = [torch.autograd.grad(x, t, retain_graph=True)[0] for x in solve(NET, Y0, t, **how).y[-1]]
    torch.testing.assert_close(by_reverse, torch.stack(rows))


def test_an_event_and_samples_with_their_own_steps_refuse_torch_func() -> None:
    how = {"solver": "rk4", "controller": STEPS}
    event = Event(lambda t, y: y[0] - 0.85)
    with pytest.raises(ValueError, match=r"^torch.func does not go through a solve with an event"):
        torch.func.grad(lambda y: solve(NET, y, T, event=event, **how).y[-1].sum())(Y0)
    with pytest.raises(ValueError, match=r"^torch.func does not go through a solve with batch='independent'"):
        torch.func.grad(lambda y: solve(NET, y, T, batch="independent", **how).y[-1].sum())(Y0.view(1, 2))


def under_anomaly(ends: Ends, y0: Tensor) -> Tensor:
    with torch.autograd.set_detect_anomaly(True):
        return torch.autograd.grad(ends.loss(y0), y0)[0]


def saved_on_cpu(ends: Ends, y0: Tensor) -> Tensor:
    with torch.autograd.graph.save_on_cpu():
        loss = ends.loss(y0)
    return torch.autograd.grad(loss, y0)[0]


def saved_elsewhere(ends: Ends, y0: Tensor) -> Tensor:
    """By hooks that give other tensors back."""
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
        loss = ends.loss(y0)
    return torch.autograd.grad(loss, y0)[0]


def from_checkpoint(ends: Ends, y0: Tensor) -> Tensor:
    return torch.autograd.grad(checkpoint(ends.loss, y0, use_reentrant=False), y0)[0]


def from_reentrant_checkpoint(ends: Ends, y0: Tensor) -> Tensor:
    checkpoint(ends.loss, y0, use_reentrant=True).backward()
    return y0.grad


@pytest.mark.parametrize(
    "take", [under_anomaly, saved_on_cpu, saved_elsewhere, from_checkpoint, from_reentrant_checkpoint]
)
@every_way
def test_modes_of_autograd_around_a_solve_leave_its_gradient_alone(take: Callable, how: How) -> None:
    torch.testing.assert_close(take(Ends(how), Y0.clone().requires_grad_()), Ends(how).slope())


@every_way
def test_inference_mode_gives_the_states(how: How) -> None:
    ends = Ends(how)
    with torch.inference_mode():
        found = ends.end(Y0.clone())
    torch.testing.assert_close(found.clone(), ends.end(Y0))


class Looked(nn.Module):
    """sin(y e) with e a row of an embedding."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        self.rows = nn.Embedding(5, 2, sparse=sparse, dtype=torch.float64)
        nn.init.constant_(self.rows.weight, 0.7)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.sin(y * self.rows(torch.tensor(3)))


def of_rows(how: How, *, sparse: bool) -> Tensor:
    f = Looked(sparse=sparse)
    solve(f, Y0.clone().requires_grad_(), T, controller=STEPS, **how).y[-1].square().sum().backward()
    return f.rows.weight.grad.to_dense()


@every_way
def test_an_embedding_with_sparse_gradients_has_those_of_a_dense_one_or_is_refused(how: How) -> None:
    if how["gradient"] == "forward":
        with pytest.raises(ValueError, match=r"^forward cannot .*: build it with sparse=False"):
            of_rows(how, sparse=True)
    else:
        torch.testing.assert_close(of_rows(how, sparse=True), of_rows(how, sparse=False))


def test_a_solve_in_steps_of_its_own_goes_through_torch_func_too() -> None:
    def loss(y0: Tensor) -> Tensor:
        controller = PIDController(rtol=1e-6, atol=1e-6)
        return solve(NET, y0, T, solver="dopri5", controller=controller).y[-1].square().sum()

    torch.testing.assert_close(torch.func.hessian(loss)(Y0), hessian(loss, Y0))
