"""Per-sample stepping: each sample is solved as if it were alone, whatever the other samples are."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from node import (
    SOLVERS,
    Counted,
    FixedGrid,
    FixedStep,
    PIDController,
    Status,
    solve,
)
from node.controller import COEFFICIENTS, Controller
from tests.support.samples import DIRECTIONS, FEW, TOLERANCE, Y0, Pendulum, T, alone, assert_as_alone, tensor, together

every_adaptive_solver = pytest.mark.parametrize("name", [name for name in SOLVERS if SOLVERS[name].adaptive])


def van_der_pol(t: Tensor, y: Tensor) -> Tensor:
    x, v = y.unbind(-1)
    return torch.stack((v, 10 * (1 - x * x) * v - x), dim=-1)


@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@every_adaptive_solver
def test_each_sample_is_solved_as_if_alone(name: str, t: Tensor) -> None:
    how = {"solver": name, "controller": TOLERANCE}
    batch = together(Pendulum(), Y0, t, **how)
    assert_as_alone(batch, alone(Pendulum(), Y0, t, **how))
    assert len(set(zip(batch.samples.n_accepted.tolist(), batch.samples.n_rejected.tolist(), strict=True))) > 1
    assert batch.stats.n_accepted == batch.samples.n_accepted.sum()
    assert batch.stats.n_rejected == batch.samples.n_rejected.sum()


CONTROLLERS = {
    "a first step": replace(TOLERANCE, first_step=0.9),
    "a least step": replace(TOLERANCE, min_step=0.07),
    "a largest step": replace(TOLERANCE, max_step=0.1),
    "a first step above the largest": replace(TOLERANCE, max_step=0.1, first_step=0.3),
    "times to end steps at": replace(TOLERANCE, step_t=(0.25, 0.4, 0.95, 7.0)),
    "a filter with memory": replace(TOLERANCE, coefficients=COEFFICIENTS["H312PID"]),
    "fixed": FixedStep(dt=0.03),
    "a grid": FixedGrid((0.1, 0.3, 0.4, 0.8)),
    "a grid of jumps": FixedGrid((0.1, 0.3, 0.4, 0.8), one_sided=True),
}


@pytest.mark.parametrize("controller", CONTROLLERS.values(), ids=CONTROLLERS)
@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("name", FEW)
def test_each_sample_follows_the_controller_as_if_alone(name: str, t: Tensor, controller: Controller) -> None:
    how = {"solver": name, "controller": controller}
    assert_as_alone(together(Pendulum(), Y0, t, **how), alone(Pendulum(), Y0, t, **how))


@pytest.mark.parametrize("name", ["euler", "rk4", "abm4"])
def test_methods_without_an_error_estimate_take_the_same_fixed_steps_for_every_sample(name: str) -> None:
    how = {"solver": name, "controller": FixedStep(dt=0.03)}
    assert_as_alone(together(Pendulum(), Y0, T, **how), alone(Pendulum(), Y0, T, **how), atol=1e-12)


class Switch(nn.Module):
    """y' = push(t) - y, whose push changes its sign at t = 1/3, where it is NaN, and back from t = 0.7 on."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        push = torch.where((t < 1 / 3) | (t >= 0.7), 1.0, -2.0).where(t != 1 / 3, math.nan)
        return push - y


@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("name", FEW)
def test_each_sample_steps_to_the_jumps_of_f_and_reads_f_from_either_side(name: str, t: Tensor) -> None:
    how = {"solver": name, "controller": replace(TOLERANCE, jump_t=(1 / 3, 0.7), step_t=(0.5,))}
    y0 = tensor([0.0], [30.0], [-1.0])
    batch = together(Switch(), y0, t, **how).require_success()
    assert_as_alone(batch, alone(Switch(), y0, t, **how))
    assert len(set(batch.samples.n_accepted.tolist())) > 1


@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("name", FEW)
def test_each_sample_may_have_its_own_output_times(name: str, t: Tensor) -> None:
    times = t * tensor(1.0, 0.3, 2.0).unsqueeze(1) + tensor(0.0, 5.0, -1.0).unsqueeze(1)
    how = {"solver": name, "controller": replace(TOLERANCE, step_t=(0.2, 0.4, 5.1))}
    batch = together(Pendulum(), Y0, times, **how)
    assert_as_alone(batch, alone(Pendulum(), Y0, times, **how))
    assert batch.t is times


@pytest.mark.parametrize("name", FEW)
def test_a_sample_does_not_depend_on_the_other_samples(name: str) -> None:
    how = {"solver": name, "controller": TOLERANCE}
    generator = torch.Generator().manual_seed(0)
    first = together(Pendulum(), Y0, T, **how)
    for others in (Y0.new_zeros(3, 2), 4 * torch.randn(7, 2, generator=generator, dtype=Y0.dtype)):
        batch = together(Pendulum(), torch.cat((others, Y0)), T, **how)
        torch.testing.assert_close(batch.y[:, len(others) :], first.y, rtol=0, atol=1e-12)
        assert batch.samples.n_accepted[len(others) :].tolist() == first.samples.n_accepted.tolist()
        assert batch.samples.n_rejected[len(others) :].tolist() == first.samples.n_rejected.tolist()


def test_a_hard_sample_among_a_thousand_at_rest_is_as_exact_as_alone() -> None:
    y0 = torch.zeros(1001, 2, dtype=torch.float64)
    y0[500, 0] = 2.0
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-4, atol=1e-4)}
    exact = tensor(1.9393585327826517344, -0.070081505735807403337)  # FACTS: Van der Pol, mu = 10, t = 20
    t = tensor(0.0, 20.0)
    single, batch = solve(van_der_pol, y0[500], t, **how), together(van_der_pol, y0, t, **how)
    joint = solve(van_der_pol, y0, t, **how)
    error = (single.y[-1] - exact).norm()
    assert (batch.y[-1, 500] - exact).norm() == pytest.approx(error.item(), rel=1e-6)
    assert (joint.y[-1, 500] - exact).norm() > 50 * error
    assert batch.y[:, 501].abs().max() == 0.0
    assert batch.samples.n_accepted[501] < batch.samples.n_accepted[500] == single.stats.n_accepted


def test_f_gets_t_as_a_column_and_y_as_the_batch() -> None:
    seen = set()

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.add((tuple(t.shape), t.dtype, tuple(y.shape), y.dtype))
        return -t * y

    for controller, dtype in itertools.product((TOLERANCE, FixedStep(dt=0.1)), (torch.float32, torch.float64)):
        seen.clear()
        together(f, torch.ones(3, 2, 4, dtype=dtype), T, solver="dopri5", controller=controller)
        assert seen == {((3, 1, 1), dtype, (3, 2, 4), dtype)}
    seen.clear()
    y = together(f, torch.ones(3, dtype=torch.bfloat16), T, solver="dopri5", controller=TOLERANCE).y
    assert seen == {((3,), torch.float32, (3,), torch.bfloat16)}
    assert (y.shape, y.dtype) == ((len(T), 3), torch.bfloat16)


def test_an_output_within_rounding_of_the_end_of_a_step_is_its_state() -> None:
    """0.1 i differs from `linspace` in the last bit; dense output would cost vern7 five evaluations a step."""
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    solution = together(Pendulum(), Y0, t, solver="vern7", controller=FixedStep(dt=0.1))
    assert solution.stats.nfe_forward == 10 * SOLVERS["vern7"].stages


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["forwards", "backwards"])
@pytest.mark.parametrize("controller", [replace(TOLERANCE, min_step=0.3), FixedStep(dt=0.3), FixedGrid((0.1, -0.1))])
def test_f_is_not_called_beyond_the_end_of_a_sample(controller: Controller, sign: float) -> None:
    ends = tensor(1.0, 0.25, 2.0).unsqueeze(1)
    seen = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.append(sign * t)
        return -y

    together(f, torch.ones_like(ends), sign * ends * tensor(0.0, 1.0), solver="bosh3", controller=controller)
    assert (torch.stack(seen) <= ends).all()


def test_the_first_dimension_of_each_tensor_of_a_tuple_is_that_of_samples() -> None:
    def f(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        a, b = y
        return -(b.sum(dim=(-2, -1)).unsqueeze(-1)) * torch.cos(t) * a, a.sum(dim=-1)[..., None, None] - b

    a, b = (
        torch.linspace(0, 3, 6, dtype=torch.float64).view(3, 2),
        torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 2, 2),
    )
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-4, atol=(1e-4, torch.full((2, 2), 1e-5)))}
    batch = together(f, (a, b), T, **how).require_success()
    for i in range(3):
        single = solve(f, (a[i], b[i]), T, **how)
        assert batch.samples.n_accepted[i] == single.stats.n_accepted
        for part, expected in zip(batch.y, single.y, strict=True):
            torch.testing.assert_close(part[:, i], expected, rtol=0, atol=1e-10)


def test_a_complex_state_may_have_a_tolerance_for_each_sample() -> None:
    y0 = torch.tensor([[1 + 0j, 2j], [3 - 1j, 0.5]], dtype=torch.complex128)
    rtol = tensor([1e-3], [1e-8])
    batch = together(
        lambda t, y: (1j - 0.1) * y * t, y0, T, solver="dopri5", controller=PIDController(rtol=rtol, atol=1e-9)
    )
    for i in range(2):
        control = PIDController(rtol=rtol[i].item(), atol=1e-9)
        single = solve(lambda t, y: (1j - 0.1) * y * t, y0[i], T, solver="dopri5", controller=control)
        torch.testing.assert_close(batch.y[:, i], single.y, rtol=0, atol=1e-9)
        assert batch.samples.n_accepted[i] == single.stats.n_accepted


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("y0", [Y0, tensor([1.0, 0.0], [math.nan, 0.0])], ids=["finite", "one fails"])
@every_adaptive_solver
def test_reported_evaluations_are_the_calls_made(name: str, y0: Tensor, record: bool) -> None:
    field = Counted(Pendulum())
    with torch.set_grad_enabled(record):
        solution = together(field, y0, 1 + T, solver=name, controller=replace(TOLERANCE, first_step=1.0))
    assert solution.stats.nfe_forward == field.calls > 0


def test_an_fsal_solve_costs_the_stages_of_the_slowest_samples_steps_and_two_to_start() -> None:
    solution = together(Pendulum(), Y0, T, solver="dopri5", controller=TOLERANCE)
    assert solution.stats.nfe_forward == 2 + 6 * (solution.samples.n_accepted + solution.samples.n_rejected).max()


def test_a_single_output_time_gives_the_start() -> None:
    solution = together(Pendulum(), Y0, T[:1], solver="dopri5", controller=TOLERANCE)
    assert torch.equal(solution.y, Y0.unsqueeze(0))
    assert (solution.status, solution.stats.nfe_forward) == (Status.success, 0)


def test_a_joint_batch_has_no_statistics_of_samples() -> None:
    assert solve(Pendulum(), Y0[0], T, solver="dopri5", controller=TOLERANCE).samples is None


WRONG = {
    "batch 'independant'. Did you mean 'independent'": {"batch": "independant"},
    "y0 has shape \\(\\)": {"y0": tensor(1.0).squeeze()},
    "y0 has shape \\(2, 1\\), \\(3, 1\\)": {"y0": (torch.ones(2, 1), torch.ones(3, 1))},
    "t has shape \\(2, 4\\)": {"t": torch.zeros(2, 4)},
    "in every row": {"t": tensor([0.0, 1.0], [0.0, -1.0], [0.0, 1.0])},
    "not finite": {"t": tensor([0.0, 1.0], [0.0, math.inf], [0.0, 1.0])},
    "forward has one step size": {"gradient": "forward", "parameters": ()},
    "norm gives \\(\\) for states \\(2, 3, 'n'\\)": {"controller": replace(TOLERANCE, norm=lambda x: x.abs().max())},
}


@pytest.mark.parametrize("message", WRONG)
def test_arguments_that_do_not_fit_samples_are_refused_in_one_line(message: str) -> None:
    call = {"f": lambda t, y: y, "y0": Y0, "t": T, "solver": "dopri5", "controller": TOLERANCE, "batch": "independent"}
    with pytest.raises(ValueError, match=message) as refusal:
        solve(**{**call, **WRONG[message]})
    assert "\n" not in str(refusal.value)
