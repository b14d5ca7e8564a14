"""A solve on a CUDA device equals the solve on the CPU, and it synchronises with the device once a step."""

import warnings

import pytest
import torch

from node import SOLVERS, solve
from node.controller import Controller
from tests.support.cases import FIXED, TOLERANCE, every_case, every_gradient, field, seconds
from tests.support.families import EXPLICIT

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


@pytest.mark.gpu
@on_a_gpu
@every_gradient
@every_case
def test_a_solve_on_the_gpu_equals_that_on_the_cpu_to_rounding(
    solver: str, controller: Controller, gradient: str
) -> None:
    t = seconds(0, 0.35, 1)
    on_cpu = torch.linspace(0.5, 1.5, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
    on_gpu = on_cpu.detach().cuda().requires_grad_()
    how = {"solver": solver, "controller": controller, "gradient": gradient, "parameters": ()}
    cpu, gpu = solve(field, on_cpu, t, **how), solve(field, on_gpu, t.cuda(), **how)
    assert gpu.y.device.type == "cuda"
    torch.testing.assert_close(gpu.y.cpu(), cpu.y, rtol=1e-9, atol=1e-12)
    cpu.y.sum().backward()
    gpu.y.sum().backward()
    torch.testing.assert_close(on_gpu.grad.cpu(), on_cpu.grad, rtol=1e-9, atol=1e-12)
    assert gpu.stats == cpu.stats


@pytest.mark.gpu
@on_a_gpu
@pytest.mark.parametrize("name", EXPLICIT)
def test_a_step_synchronises_with_the_gpu_once_at_most(name: str) -> None:
    """A step reads its error; beside that the start reads three norms, and the end whether all states are finite."""
    y0, t = torch.ones(3, device="cuda"), seconds(0, 0.35, 1)
    controller = TOLERANCE if SOLVERS[name].adaptive else FIXED
    solve(field, y0, t, solver=name, controller=controller)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as synchronisations:
            warnings.simplefilter("always")
            stats = solve(field, y0, t, solver=name, controller=controller).stats
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(synchronisations) <= stats.n_accepted + stats.n_rejected + 6


@pytest.mark.gpu
@on_a_gpu
def test_times_may_be_on_the_cpu_beside_a_state_on_the_gpu() -> None:
    y0 = torch.ones(3, device="cuda")
    solution = solve(field, y0, seconds(0, 1), solver="dopri5", controller=TOLERANCE).require_success()
    assert solution.y.device.type == "cuda"
    assert solution.t.device.type == "cpu"
