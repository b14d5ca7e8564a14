"""A wrong call is refused in one line, before f is called: what is wrong, what was seen, what to do."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, Backprop, FixedStep, PIDController, Solution, Status, solve

TOLERANCE = PIDController(rtol=1e-3, atol=1e-3)
Y0 = torch.ones(3, dtype=torch.float64)
T = torch.tensor([0.0, 1.0], dtype=torch.float64)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


class Decay(nn.Module):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return -y


def call(
    f: Callable[[Tensor, Tensor], Tensor] | None = None, y0: Tensor = Y0, t: Tensor = T, **how: object
) -> Solution:
    return solve(f or Decay(), y0, t, **({"solver": "dopri5", "controller": TOLERANCE} | how))


# What is wrong, and what the message must name: what was seen and what to do.
WRONG_CALLS: dict[str, tuple[dict[str, object], list[str]]] = {
    "solver with a typo": ({"solver": "dopri55"}, ["unknown solver 'dopri55'", "Did you mean 'dopri5'?", *SOLVERS]),
    "solver with another typo": ({"solver": "eular"}, ["unknown solver 'eular'", "Did you mean 'euler'?"]),
    "solver like none": ({"solver": "xyz"}, ["unknown solver 'xyz'", "Known: ", *SOLVERS]),
    "gradient with a typo": ({"gradient": "adjiont"}, ["unknown gradient", "Did you mean 'adjoint'?", *ADJOINTS]),
    "t falls and rises": ({"t": torch.tensor([0.0, 2.0, 1.0])}, ["t must be strictly", "sort it"]),
    "t falls, with a double": ({"t": torch.tensor([1.0, 0.5, 0.5])}, ["t must be strictly", "drop doubles"]),
    "t rises, with a double": ({"t": torch.tensor([0.0, 1.0, 1.0])}, ["t must be strictly", "drop doubles"]),
    "t with NaN": ({"t": torch.tensor([0.0, math.nan])}, ["t has an entry that is not finite"]),
    "t infinite": ({"t": torch.tensor([0.0, math.inf])}, ["t has an entry that is not finite"]),
    "t of integers": ({"t": torch.tensor([0, 1])}, ["t has shape (2,)", "torch.int64", "tensor of floats"]),
    "t 0-dimensional": ({"t": torch.tensor(1.0)}, ["t has shape ()", "1-dimensional"]),
    "t 2-dimensional": ({"t": torch.ones(2, 2)}, ["t has shape (2, 2)", "1-dimensional"]),
    "t empty": ({"t": torch.ones(0)}, ["t has shape (0,)", "1-dimensional"]),
    "y0 of integers": ({"y0": torch.ones(3, dtype=torch.int64)}, ["y0 has dtype torch.int64", "y0.double()"]),
    "y0 of booleans": ({"y0": torch.ones(3, dtype=torch.bool)}, ["y0 has dtype torch.bool", "y0.double()"]),
    "y0 real and complex": ({"y0": (Y0, Y0 + 0j)}, ["y0 has complex and real parts", "all as complex"]),
    "y0 an empty tuple": ({"y0": ()}, ["y0 is an empty tuple", "nothing to solve"]),
    "y0 a tuple of floats": ({"y0": (Y0, 1.0)}, ["y0 is of type float", "tuple of tensors"]),
    "rtol of another shape": (
        {"controller": PIDController(rtol=torch.ones(2), atol=1e-3)}, ["rtol has shape [(2,)]", "[(3,)]"]
    ),
    "atol for another tuple": (
        {"controller": PIDController(rtol=1e-3, atol=(1e-3, 1e-3))}, ["atol has 2 entries", "give one for each"]
    ),
    "t a list": ({"t": [0.0, 1.0]}, ["t is of type list", "pass a 1-dimensional tensor"]),
    "y0 a float": ({"y0": 1.0}, ["y0 is of type float", "pass a tensor"]),
    "controller a float": ({"controller": 0.1}, ["controller is of type float", "FixedStep(dt=...)"]),
    "y0 empty": ({"y0": torch.ones(0, 3)}, ["y0 has shape (0, 3)", "nothing to solve"]),
}  # fmt: skip


def error_of(named: list[str]) -> type[Exception]:
    return TypeError if "is of type" in named[0] else ValueError


@every_gradient
@pytest.mark.parametrize(("wrong", "named"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_wrong_call_is_refused_in_one_line(wrong: dict[str, object], named: list[str], gradient: str) -> None:
    with pytest.raises(error_of(named)) as raised:
        call(**({"gradient": gradient} | wrong))
    message = str(raised.value)
    assert "\n" not in message
    assert [part for part in named if part not in message] == []


@every_gradient
@pytest.mark.parametrize("name", [name for name in SOLVERS if not SOLVERS[name].adaptive])
def test_a_tolerance_for_a_solver_without_an_error_estimate_is_refused(name: str, gradient: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} gives no error estimate: pass controller=FixedStep\(dt=\.\.\.\)"):
        call(solver=name, gradient=gradient)


@every_gradient
@pytest.mark.parametrize(
    ("returned", "shape"),
    [(lambda y: y[:2], "(2,)"), (lambda y: y.sum(), "()"), (lambda y: torch.stack((y, y)), "(2, 3)")],
    ids=["(2,)", "()", "(2, 3)"],
)
def test_a_derivative_of_another_shape_is_refused(
    gradient: str, returned: Callable[[Tensor], Tensor], shape: str
) -> None:
    message = f"returned shape {shape} for a state of shape (3,): dy/dt must have the state's shape"
    with pytest.raises(ValueError, match=re.escape(message)):
        call(lambda t, y: returned(y), gradient=gradient, parameters=())


@every_gradient
def test_a_derivative_may_have_additional_dimensions_of_length_one(gradient: str) -> None:
    true = call(lambda t, y: -y, gradient=gradient).y
    assert torch.equal(call(lambda t, y: -y.unsqueeze(0), gradient=gradient).y, true)


@every_gradient
def test_a_complex_derivative_of_a_real_state_is_refused(gradient: str) -> None:
    with pytest.raises(ValueError, match="returned complex numbers for a real state: pass y0 as complex"):
        call(lambda t, y: 1j * y, gradient=gradient)


@every_gradient
def test_a_plain_function_is_accepted_and_a_single_tensor_as_parameters_is_refused(gradient: str) -> None:
    assert call(lambda t, y: -y, gradient=gradient).status is Status.success
    for given, seen in ((torch.ones(2, 2), "is one tensor"), (["w"], "has an entry of type str")):
        with pytest.raises(TypeError, match=rf"^parameters {seen}.*: pass a tuple"):
            call(lambda t, y: -y, gradient=gradient, parameters=given)


def test_a_wrong_call_is_refused_before_f_is_called() -> None:
    calls = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        calls.append(t)
        return -y

    for wrong, named in WRONG_CALLS.values():
        with pytest.raises(error_of(named)):
            call(f, **({"gradient": "backprop"} | wrong))
    assert calls == []


def test_a_solver_and_a_mode_may_be_given_as_values_instead_of_names() -> None:
    by_name = call(solver="tsit5", gradient="backprop")
    by_value = call(solver=SOLVERS["tsit5"], gradient=Backprop())
    assert torch.equal(by_name.y, by_value.y)


@pytest.mark.parametrize("registry", [SOLVERS, ADJOINTS], ids=["SOLVERS", "ADJOINTS"])
def test_each_value_is_registered_under_its_own_name(registry: dict[str, object]) -> None:
    assert {name: value.name for name, value in registry.items()} == {name: name for name in registry}


@pytest.mark.parametrize("dt", [0.0, -0.1, math.nan, math.inf])
def test_a_fixed_step_must_be_positive_and_finite(dt: float) -> None:
    with pytest.raises(ValueError, match=r"^FixedStep: dt is .* and must be positive and finite$"):
        FixedStep(dt=dt)


@pytest.mark.parametrize(
    ("rtol", "atol"), [(-1e-3, 1e-3), (1e-3, -1e-3), (0.0, 0.0), (math.nan, 1e-3), (1e-3, math.nan)]
)
def test_tolerances_must_not_be_negative_nor_both_zero(rtol: float, atol: float) -> None:
    with pytest.raises(ValueError, match=r"^PIDController: rtol=.*, atol=.*: neither may be negative, nor both zero$"):
        PIDController(rtol=rtol, atol=atol)


@pytest.mark.parametrize("limits", [(0.0, 10.0), (1.0, 10.0), (0.2, 1.0), (-0.2, 10.0), (0.2, 0.5), (math.nan, 10.0)])
def test_step_factors_must_lie_below_and_above_one(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="0 < factor_min < 1 < factor_max is needed"):
        PIDController(rtol=1e-3, atol=1e-3, factor_min=limits[0], factor_max=limits[1])


@pytest.mark.parametrize("first_step", [0.0, -0.1, math.nan])
def test_a_first_step_must_be_positive(first_step: float) -> None:
    with pytest.raises(ValueError, match=r"^PIDController: first_step is .* and must be positive$"):
        PIDController(rtol=1e-3, atol=1e-3, first_step=first_step)


@pytest.mark.parametrize("safety", [0.0, -0.9, 1.1, math.nan])
def test_safety_lies_between_zero_and_one(safety: float) -> None:
    with pytest.raises(ValueError, match=r"safety is .* must lie in \(0, 1\]"):
        PIDController(rtol=1e-3, atol=1e-3, safety=safety)


def test_tolerances_and_step_sizes_have_no_default() -> None:
    with pytest.raises(TypeError):
        solve(Decay(), Y0, T, solver="dopri5")
    with pytest.raises(TypeError):
        PIDController()
    with pytest.raises(TypeError):
        FixedStep()
