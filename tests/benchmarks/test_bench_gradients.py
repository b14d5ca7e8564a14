"""The time of a training step in each gradient mode: beside torchdiffeq, node's backprop, and the bare limit.

The bare limit is a chain of as many calls of the vector field as the solve makes, with its backward pass.

Goals, as ratios of times on one thread, for dopri5 on the spiral net, on Van der Pol and on the net 64-256-64: backprop
at most 0.50, 0.50 and 0.60 of torchdiffeq's and 2.0, 1.6 and 1.2 of the bare limit; checkpointed at most 1.5, 1.5 and
1.4 of node's backprop; the adjoint at most 0.25, 0.50 and 0.60 of torchdiffeq's. `make regress` prints the ratios of
your machine.

The time of backprop beyond the bare limit, in microseconds a call of Van der Pol's field on one busy core, where the
bare call takes 36 and its backward pass 61: 46 for the solve as without a graph (`test_bench_solves.py`), 10 for the
nodes of the graph, and 31 for the backward pass through the weighted sum of a stage: a stack, a product, three views
and the sums of the gradients of each slope. On the spiral net, with 14 calls a solve, the start of a solve weighs more.
Sums through a buffer, transposed, or differentiated by hand cost the same within a few percent where the state is
small; one engine call a stage costs more. On 64-256-64 the bare limit is half of torchdiffeq's time, and the stacks of
the steps, 1.3 MB each, are most of the rest. Checkpointed mode calls f once more without a graph, which takes 0.4 of a
call with its backward pass: its ratio cannot be below 1.35.
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

# Forward mode is for few parameters, so only for Van der Pol's single one. Reversed steps fail on its contraction.
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
        # Its fastest form (docs/peers.md): a step ends on each output, and the norm leaves out the parameters.
        at_its_best = {"step_t": t[:-1].double(), "norm": "seminorm"}
        peers["torchdiffeq"] = theirs(torchdiffeq.odeint_adjoint, adjoint_options=at_its_best)
    y = timed_in_pairs(benchmark, ours(gradient), peers)
    assert counted.vjps > 0
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in field.parameters())
    assert_solved(name, y)


@pytest.mark.parametrize("solver", ["rodas5p", "kencarp4"])
def test_a_long_stiff_training_step_is_timed_beside_short_ones(benchmark: BenchmarkFixture, solver: str) -> None:
    """Eight times as many steps, which take Jacobians, should take eight times as long."""
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
