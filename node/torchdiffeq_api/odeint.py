"""odeint: a solve that is differentiated through its steps."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from node.layout import State
from node.torchdiffeq_api.call import Call, EventFn
from node.torchdiffeq_api.callbacks import forward_callbacks
from node.torchdiffeq_api.norms import state_norm
from node.torchdiffeq_api.one_pass import one_pass, read_options
from node.torchdiffeq_api.scipy_solver import SolveIvp, ThroughScipy
from node.vector_field import VectorField


def odeint(
    func: VectorField[Any],
    y0: State,
    t: Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    event_fn: EventFn | None = None,
) -> Any:
    """Solve dy/dt = func(t, y), y(t[0]) = y0: the states at the times t, stacked along a new first dimension.

    rtol, atol: numbers, or tensors for each element of y0; where y0 is a tuple, tuples with an entry for each tensor.
    method: dopri5 by default. options: see AdaptiveOptions, FixedOptions, AdamsOptions and ScipyOptions.
    event_fn: stop where an entry of event_fn(t, y) passes through zero; of t, the first is the start and the second
    tells the direction only. Gives (event_t, states at the start and at the event), the gradient of the latter as if
    event_t were a given time: odeint_event adds what event_t depends on.
    func may have the methods callback_step, callback_accept_step and callback_reject_step, called with (t0, y0, dt).

    A failed solve raises SolveError. Gradients reach y0, t and all that func depends on; none passes scipy_solver.
    """
    check_arguments(y0, t, event_fn)
    name, chosen = read_options(method, options)
    forward = one_pass(name, chosen, func, y0, (t,), rtol=rtol, atol=atol, norm=state_norm(chosen.norm, y0))
    callbacks = forward_callbacks(func, name, forward.callbacks, forward.time_dtype)
    if isinstance(forward, SolveIvp):
        _refuse_gradient(y0, t)
        return Call(func, y0, forward, ThroughScipy(forward, forward), (), callbacks).answer(t, event_fn)
    return Call(func, y0, forward, "backprop", None, callbacks).answer(t, event_fn)


def check_arguments(y0: State, t: Tensor, event_fn: EventFn | None) -> None:
    """What must hold before the options can be read; the rest is for `solve` to check."""
    parts = y0 if isinstance(y0, tuple) else (y0,)
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise ValueError(f"y0 is of type {type(y0).__name__}: pass a tensor or a tuple of tensors")
    if not (isinstance(t, Tensor) and t.is_floating_point() and t.dim() == 1 and len(t) > 0):
        raise ValueError("t must be a 1-dimensional tensor of floats: the times of output, t[0] the start")
    if event_fn is not None and len(t) != 2:
        raise ValueError(f"t has {len(t)} entries: with event_fn pass two, the start and a time in the direction to go")


def _refuse_gradient(y0: State, t: Tensor) -> None:
    inputs = (*(y0 if isinstance(y0, tuple) else (y0,)), t)
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        raise ValueError("scipy_solver gives odeint no gradient and an input requires one: take odeint_adjoint")
