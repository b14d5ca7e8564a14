"""The claims on a gradient mode."""

from functools import partial

import torch
from torch import Tensor

from bench.own.finding import Check, NotTried
from node import ADJOINTS, SOLVERS, PIDController, solve
from node.models import MLP


def gradient_claims(name: str) -> dict[str, Check]:
    """The claims on a gradient mode, each with a function that says what is wrong."""
    return {
        "its gradient is backprop's, to the tolerance": partial(_near_backprop, name),
        "its gradient is the same when repeated": partial(_repeated, name),
    }


def _gradient(name: str) -> Tensor:
    torch.manual_seed(0)
    net = MLP(2, width=8).double()
    y0, t = torch.randn(3, 2, dtype=torch.float64), torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    solver = next((s for s in SOLVERS.values() if s.adaptive and s.order == 5 and not _refused(name, s.name)), None)
    if solver is None:
        raise NotTried("it goes with no adaptive solver of order 5")
    controller = PIDController(rtol=1e-8, atol=1e-8)
    y = solve(net, y0, t, solver=solver, controller=controller, gradient=name).require_success().y
    torch.autograd.backward(y.square().sum())
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    return torch.cat([part.reshape(-1) for part in parts])


def _refused(mode: str, solver: str) -> bool:
    return bool(ADJOINTS[mode].unsupported(SOLVERS[solver]))


def _near_backprop(name: str) -> str:
    found, expected = _gradient(name), _gradient("backprop")
    distance = (torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)).item()
    return "" if distance < 1e-5 else f"they are {distance:.2g} apart, relatively, at a tolerance of 1e-8"


def _repeated(name: str) -> str:
    return "" if torch.equal(_gradient(name), _gradient(name)) else "two runs of one seed differ"
