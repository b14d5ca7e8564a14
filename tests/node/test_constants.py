"""Constants that are made once: they may be asked for first in any mode of torch, and be used in any other after it."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from node.constants import made_once

Pair = Callable[[float], Tensor]

FIRST_USES: dict[str, Callable[[Pair], object]] = {
    "inference mode": lambda pair: torch.inference_mode(lambda: pair(2.0).sum())(),
    "grad": lambda pair: grad(lambda x: (x * pair(2.0)).sum())(torch.ones(2)),
    "hessian": lambda pair: hessian(lambda x: (x * x * pair(2.0)).sum())(torch.ones(2)),
    "vmap": lambda pair: vmap(lambda x: x * pair(2.0))(torch.ones(3, 2)),
    "tracing with fake tensors": lambda pair: make_fx(lambda x: x * pair(2.0), tracing_mode="fake")(torch.ones(2)),
    "tracing": lambda pair: make_fx(lambda x: x * pair(2.0))(torch.ones(2)),
    "a dual level": lambda pair: torch.func.jvp(lambda x: x * pair(2.0), (torch.ones(2),), (torch.ones(2),)),
}


@pytest.fixture
def pair() -> Pair:
    @made_once(4)
    def constants(value: float) -> Tensor:
        return torch.tensor([value, value])

    return constants


def test_a_constant_is_made_once(pair: Pair) -> None:
    assert pair(2.0) is pair(2.0)
    assert pair(2.0) is not pair(3.0)


@pytest.mark.parametrize("first", FIRST_USES)
@pytest.mark.parametrize("second", FIRST_USES)
def test_the_mode_of_the_first_use_does_not_matter_to_the_next(pair: Pair, first: str, second: str) -> None:
    FIRST_USES[first](pair)
    FIRST_USES[second](pair)
    x = torch.ones(2, requires_grad=True)
    (x * x * pair(2.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [4.0, 4.0]


HESSIANS_FIRST = """
import torch
from node import SOLVERS, FixedStep, solve

t = torch.tensor([0.0, 0.25])
for name, solver in SOLVERS.items():
    if solver.separable:
        y0, f = (torch.ones(1), torch.ones(1)), lambda t, y: (y[1], -y[0] ** 3)
    else:
        y0, f = (torch.ones(2),), lambda t, y: (-y[0] ** 3,)
    def loss(*y0):
        states = solve(f, y0, t, solver=solver, controller=FixedStep(dt=0.125)).y
        return sum(y[-1].square().sum() for y in states)
    torch.func.hessian(loss)(*y0)
    jacobian = torch.func.jacrev(loss)(*y0)
    gradient = torch.func.grad(loss)(*y0)
    leaf = y0[0].clone().requires_grad_()
    loss(leaf, *y0[1:]).backward()
    assert torch.equal(jacobian, gradient), name
    assert torch.allclose(leaf.grad, gradient, rtol=1e-5), name
print("done")
"""


@pytest.mark.exhaustive
def test_solves_whose_first_one_was_within_a_hessian_have_right_gradients() -> None:
    done = subprocess.run([sys.executable, "-c", HESSIANS_FIRST], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("done\n", "")
