"""The time of a training step in each gradient mode: beside torchdiffeq, beside our backprop, beside the bare limit.

The bare limit is a chain of as many calls of the vector field as the solve makes, and its backward pass.

Goals, as ratios of times on one thread, for dopri5 on the spiral net, on Van der Pol and on the net 64-256-64: backprop
at most 0.50, 0.50 and 0.60 of torchdiffeq's and 2.0, 1.6 and 1.2 of the bare limit; checkpointed at most 1.5, 1.5 and
1.4 of our backprop; the adjoint at most 0.25, 0.50 and 0.60 of torchdiffeq's. `make regress` prints what holds on your
machine.

Where backprop's time beyond the bare limit goes, in microseconds a call of Van der Pol's field on one busy core, where
the bare call takes 36 and its backward pass 61: 46 are the solve's as without a graph (`test_bench_solves.py`), 10 the
graph's nodes, and 31 the backward pass through a stage's weighted sum: a stack, a product, three views and the sums of
what reaches a slope. On the spiral net, with its 14 calls a solve, the start of a solve weighs more. Sums through a
buffer, transposed, or differentiated by hand cost the same within a few percent where the state is small; one engine
call a stage costs more. On 64-256-64 the bare limit is half of torchdiffeq's time, and what a step stacks, 1.3 MB,
most of the rest. Checkpointed calls f once more without a graph, 0.4 of a call with its backward pass: no less than
1.35.
"""

from collections.abc import Callable

import pytest
import torch
import torchdiffeq
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, Counted, FixedStep, PIDController, solve
from tests.benchmarks.pairs import timed_in_pairs
from tests.benchmarks.workloads import WORKLOADS, assert_solved

# Tangents are for few parameters: Van der Pol's one. Its contraction is what undone steps do not find back from.
CASES = [
    (gradient, "dopri5" if not mode.unsupported(SOLVERS["dopri5"]) else "reversible_dopri5", name)
    for gradient, mode in ADJOINTS.items()
    for name in WORKLOADS
    if gradient not in ("forward", "reversible") or (gradient == "forward") == (name == "Van der Pol")
]


def training_step(field: nn.Module, states: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def step() -> Tensor:
        for parameter in field.parameters():
            parameter.grad = None
        y = states()
        y.square().mean().backward()
        return y

    return step


@pytest.mark.parametrize(("gradient", "solver", "name"), CASES)
def test_a_training_step_is_timed_and_right(benchmark: BenchmarkFixture, gradient: str, solver: str, name: str) -> None:
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    controller = PIDController(rtol=workload.rtol, atol=workload.atol)

    def ours(mode: str, f: nn.Module = field) -> Callable[[], Tensor]:
        return training_step(field, lambda: solve(f, y0, t, solver=solver, controller=controller, gradient=mode).y)

    def theirs(odeint: Callable[..., Tensor], **options: object) -> Callable[[], Tensor]:
        how = {"rtol": workload.rtol, "atol": workload.atol, "method": "dopri5", **options}
        return training_step(field, lambda: odeint(field, y0, t, **how))

    def chain() -> Tensor:
        y, now = y0, torch.tensor(0.1)
        for _ in range(calls):
            y = field(now, y)
        return y

    counted = Counted(field)
    ours(gradient, counted)()
    calls = counted.calls
    what = f"training step, {gradient}{'' if solver == 'dopri5' else f', {solver}'}"
    benchmark.group = f"{name}: {what}"
    benchmark.extra_info |= {"workload": name, "what": what, "nfe": calls, "vjp": counted.vjps}
    peers = {"our backprop": ours("backprop")}
    if gradient == "backprop":
        peers = {"torchdiffeq": theirs(torchdiffeq.odeint), "the bare limit": training_step(field, chain)}
    elif gradient == "adjoint":
        # Its quickest form (docs/peers.md): a step ends on each output, and the parameters are left out of the norm.
        at_its_best = {"step_t": t[:-1].double(), "norm": "seminorm"}
        peers["torchdiffeq"] = theirs(torchdiffeq.odeint_adjoint, adjoint_options=at_its_best)
    y = timed_in_pairs(benchmark, ours(gradient), peers)
    assert counted.vjps > 0
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in field.parameters())
    assert_solved(name, y)


@pytest.mark.parametrize("solver", ["rodas5p", "kencarp4"])
def test_a_long_stiff_training_step_is_timed_beside_short_ones(benchmark: BenchmarkFixture, solver: str) -> None:
    """Eight times as many steps, which take Jacobians along the way, are to take eight times as long."""
    name = "Van der Pol"
    field, y0, _ = WORKLOADS[name].make()

    def solved(t_end: float) -> Callable[[], Tensor]:
        times, controller = torch.tensor([0.0, t_end]), FixedStep(dt=0.05)
        return training_step(field, lambda: solve(field, y0[:1], times, solver=solver, controller=controller).y)

    short = solved(0.5)
    benchmark.group = f"{name}: training step, {solver}, 80 steps"
    benchmark.extra_info |= {"workload": name, "what": f"training step, {solver}"}
    y = timed_in_pairs(benchmark, solved(4.0), {"eight of ten steps": lambda: [short() for _ in range(8)]})
    assert y.isfinite().all()
