"""Unusual states, derivatives and options that torchdiffeq accepts are accepted, with the same results."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import node
from tests.support.torchdiffeq_pairs import Y0, Field, both, tensor, times

close = torch.testing.assert_close
every_kind = pytest.mark.parametrize("method", ["dopri5", "rk4", "scipy_solver"])


@every_kind
def test_a_tuple_may_contain_an_empty_tensor(method: str) -> None:
    y0 = (Y0, torch.empty(3, 0, dtype=torch.float64))
    ours, theirs = both(
        lambda library: library.odeint(lambda t, y: (-y[0], y[1]), y0, times((0.0, 1.0)), method=method)
    )
    close(ours, theirs, rtol=0, atol=1e-7)


@every_kind
def test_a_tuple_of_real_and_complex_tensors_is_solved_as_complex(method: str) -> None:
    options = {"solver": "RK45"} if method == "scipy_solver" else None
    y0, how = (Y0 * (1 + 1j), Y0), {"method": method, "options": options}
    ours, theirs = both(lambda library: library.odeint(lambda t, y: (1j * y[0], -y[1]), y0, times((0.0, 1.0)), **how))
    close(ours, theirs, rtol=0, atol=1e-6)


@every_kind
@pytest.mark.parametrize(
    ("y0", "f"),
    [
        (Y0[0], lambda t, y: -y.reshape(1)),
        ((Y0[:1], Y0.view(2, 1)), lambda t, y: (-y[0][0], -y[1].reshape(2))),
        ((Y0, Y0), lambda t, y: [-y[0], y[1]]),
        ((Y0, Y0), lambda t, y: (part for part in y)),
    ],
    ids=["() from (1,)", "a tuple", "a list", "a generator"],
)
def test_f_may_return_other_shapes_lists_and_generators(method: str, y0: Any, f: Any) -> None:
    ours, theirs = both(lambda library: library.odeint(f, y0, times((0.0, 1.0)), method=method))
    if isinstance(ours, Tensor):
        ours, theirs = (ours,), (theirs,)
    for part, other in zip(ours, theirs, strict=True):
        close(part, other.view_as(part), rtol=0, atol=1e-6)


@pytest.mark.parametrize("interface", ["odeint", "odeint_adjoint"])
def test_a_batch_without_samples_gives_empty_states(interface: str) -> None:
    y0 = torch.empty(0, 2, dtype=torch.float64)
    assert getattr(node, interface)(Field(), y0, times((0.0, 1.0))).shape == (5, 0, 2)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dopri5", {"ifactor": 1.0}),
        ("dopri5", {"dfactor": 1.0}),
        ("dopri5", {"dfactor": 0.0}),
        ("dopri5", {"min_step": 0.02, "max_step": 0.01}),
        ("dopri5", {"step_t": tensor(0.1, math.inf)}),
        ("dopri5", {"max_num_steps": 1e4}),
        ("explicit_adams", {"max_order": 12, "step_size": 0.01}),
        ("implicit_adams", {"max_order": 5.0, "step_size": 0.01}),
    ],
)
def test_an_option_at_its_limit_is_accepted_as_by_torchdiffeq(method: str, options: dict[str, Any]) -> None:
    ours, theirs = both(lambda library: library.odeint(Field(), Y0, tensor(0.0, 2.0), method=method, options=options))
    close(ours, theirs, rtol=0, atol=1e-6)
