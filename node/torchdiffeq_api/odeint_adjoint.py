"""odeint_adjoint: a solve with gradients by the continuous adjoint."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from node.adjoint import Adjoint, ContinuousAdjoint
from node.adjoint.field.dependencies import checked_parameters
from node.errors import CallError
from node.layout import State
from node.torchdiffeq_api.call import MOST_STEPS, Call, EventFn
from node.torchdiffeq_api.callbacks import adjoint_callbacks, forward_callbacks
from node.torchdiffeq_api.norms import adjoint_norm, state_norm
from node.torchdiffeq_api.odeint import checked_state
from node.torchdiffeq_api.one_pass import one_pass, read_options
from node.torchdiffeq_api.scipy_solver import SolveIvp, ThroughScipy
from node.vector_field import VectorField


def odeint_adjoint(
    func: VectorField[Any],
    y0: State,
    t: Tensor,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    event_fn: EventFn | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    adjoint_method: str | None = None,
    adjoint_options: Mapping[str, Any] | None = None,
    adjoint_params: Iterable[Tensor] | None = None,
) -> Any:
    """Solve as odeint, with gradients from an adjoint equation solved backwards in time: memory O(1) in the steps.

    adjoint_rtol, ...: the arguments of the backward solve, by default those of the forward pass; the options without
    their norm. Tolerances for each element of y0 hold for its adjoint too, the smallest of them for the parameters.
    adjoint_options["norm"]: "seminorm" leaves the parameters out; or a function of the tuple (t, y, dL/dy, *dL/dp),
    in which the gradients to other tensors that func depends on, such as a closure's, come last, in one vector.
    adjoint_params: the tensors that get gradients beside y0 and t; by default all that func is found to depend on.
    func may have callback_step_adjoint, callback_accept_step_adjoint and callback_reject_step_adjoint, called in the
    backward solve with the state (t, y, dL/dy, *dL/dp).

    Unlike torchdiffeq's, the backward solve passes over output times in the steps that it would take without them, and
    its max_num_steps is, as in the forward pass, a mean over the intervals between two outputs.
    """
    y0 = checked_state(y0, t, event_fn)
    name, chosen = read_options(method, options)
    backward_name = name if adjoint_method is None else adjoint_method
    if backward_name != name and options is not None and adjoint_options is None:
        raise CallError(f"options are {name}'s and adjoint_method is {backward_name}: pass adjoint_options too")
    backward_name, backward_chosen = read_options(backward_name, _backward_options(options, adjoint_options))
    given = checked_parameters(adjoint_params)
    known = _parameters_of_norm(func, given, warn=callable(backward_chosen.norm))

    norm = state_norm(chosen.norm, y0)
    forward = one_pass(name, chosen, func, y0, (t,), rtol=rtol, atol=atol, norm=norm)
    intervals = [t[i - 1 : i + 1].flip(0) for i in range(len(t) - 1, 0, -1)]
    backward = one_pass(
        backward_name,
        backward_chosen,
        func,
        y0,
        intervals or [t],
        rtol=rtol if adjoint_rtol is None else adjoint_rtol,
        atol=atol if adjoint_atol is None else adjoint_atol,
        norm=norm,
    )
    gradient: Adjoint
    if isinstance(backward, SolveIvp):
        gradient = ThroughScipy(forward if isinstance(forward, SolveIvp) else None, backward)
    else:
        gradient = ContinuousAdjoint(
            solver=backward.solver,
            controller=backward.controller,
            norm=adjoint_norm(backward_chosen.norm, y0, known),
            callbacks=adjoint_callbacks(func, backward.callbacks, backward.time_dtype, y0),
            max_steps=(backward.max_steps or MOST_STEPS) * max(1, len(t) - 1),
        )
        if isinstance(forward, SolveIvp):
            gradient = ThroughScipy(forward, gradient)
    callbacks = forward_callbacks(func, name, forward.callbacks, forward.time_dtype)
    return Call(func, y0, forward, gradient, given, callbacks).answer(t, event_fn)


def _backward_options(options: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is not None:
        return given
    return {name: value for name, value in (options or {}).items() if name != "norm"}


def _parameters_of_norm(func: Any, given: tuple[Tensor, ...] | None, *, warn: bool) -> tuple[Tensor, ...]:
    """The parameters whose gradients a norm gets as separate entries: those that require grad."""
    usual = tuple(func.parameters()) if isinstance(func, nn.Module) else ()
    every = usual if given is None else given
    kept = tuple(p for p in every if p.requires_grad)
    if warn and len(kept) < len(every):
        warnings.warn("an adjoint parameter that requires no grad is left out of the adjoint norm", stacklevel=3)
    return kept
