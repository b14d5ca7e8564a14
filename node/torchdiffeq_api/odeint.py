"""odeint: a solve with gradients by backpropagation through its steps."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from node.errors import CallError, CallTypeError
from node.layout import State
from node.torchdiffeq_api.call import Call, EventFn
from node.torchdiffeq_api.callbacks import forward_callbacks
from node.torchdiffeq_api.norms import state_norm
from node.torchdiffeq_api.one_pass import one_pass, read_options
from node.torchdiffeq_api.scipy_solver import ScipyWithoutGradient, SolveIvp
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
    event_fn: stop where an entry of event_fn(t, y) passes through zero; t then has two entries: the start, and a time
    that gives the direction only. The result is (event_t, states at the start and at the event). The gradient of these
    states takes event_t as a given time; odeint_event adds the gradient through event_t.
    func may have the methods callback_step, callback_accept_step and callback_reject_step, called with (t0, y0, dt).

    A failed solve raises SolveError. Gradients reach y0, t and all that func depends on; for scipy_solver there are
    none, and the backward pass raises an error.
    """
    y0 = checked_state(y0, t, event_fn)
    name, chosen = read_options(method, options)
    forward = one_pass(name, chosen, func, y0, (t,), rtol=rtol, atol=atol, norm=state_norm(chosen.norm, y0))
    callbacks = forward_callbacks(func, name, forward.callbacks, forward.time_dtype)
    if isinstance(forward, SolveIvp):
        return Call(func, y0, forward, ScipyWithoutGradient(forward), None, callbacks).answer(t, event_fn)
    return Call(func, y0, forward, "backprop", None, callbacks).answer(t, event_fn)


def checked_state(y0: State, t: Tensor, event_fn: EventFn | None) -> State:
    """y0, with all tensors complex if one is; only the conditions for reading the options are checked here."""
    parts = y0 if isinstance(y0, tuple) else (y0,)
    if not parts:
        raise CallError("y0 is an empty tuple: there is nothing to solve")
    if not all(isinstance(part, Tensor) for part in parts):
        raise CallTypeError(f"y0 is of type {type(y0).__name__}: pass a tensor or a tuple of tensors")
    if not isinstance(t, Tensor):
        raise CallTypeError(f"t is of type {type(t).__name__}: pass a 1-dimensional tensor of output times")
    if not (t.is_floating_point() and t.dim() == 1 and len(t) > 0):
        raise CallError("t must be a 1-dimensional tensor of floats: the times of output, t[0] the start")
    if event_fn is not None and len(t) != 2:
        raise CallError(f"t has {len(t)} entries: with event_fn pass two, the start and a time in the direction to go")
    if isinstance(y0, Tensor) or len({part.is_complex() for part in y0}) == 1:
        return y0
    return tuple(part.to(torch.promote_types(part.dtype, torch.complex32)) for part in y0)
