"""odeint_dense: the solution as a function of time."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from node.dense import DenseOutput
from node.errors import CallError
from node.layout import State
from node.torchdiffeq_api.call import Call
from node.torchdiffeq_api.callbacks import forward_callbacks
from node.torchdiffeq_api.norms import state_norm
from node.torchdiffeq_api.odeint import checked_state
from node.torchdiffeq_api.one_pass import one_pass, read_options
from node.torchdiffeq_api.scipy_solver import SolveIvp
from node.vector_field import VectorField


def odeint_dense(
    func: VectorField[Any],
    y0: State,
    t0: Tensor | float,
    t1: Tensor | float,
    *,
    rtol: Any = 1e-7,
    atol: Any = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> DenseOutput[Any]:
    """The solution of dy/dt = func(t, y), y(t0) = y0 between t0 and t1, in either direction, as a function of time.

    It gives states (*t.shape, *y0.shape) at times t of any shape and order, a tuple if y0 is one, and can be
    differentiated as odeint's result, and in t. torchdiffeq's supports only dopri5, tensors, t0 < t1 and single times.
    A method of fixed steps takes one step from t0 to t1, or steps of its option step_size, and interpolates by its
    option interp.
    """
    t = torch.stack([torch.as_tensor(x, dtype=torch.float64, device="cpu").reshape(()) for x in (t0, t1)])
    y0 = checked_state(y0, t, None)
    name, chosen = read_options(method, options)
    forward = one_pass(name, chosen, func, y0, (t,), rtol=rtol, atol=atol, norm=state_norm(chosen.norm, y0))
    if isinstance(forward, SolveIvp):
        raise CallError("scipy_solver gives no dense output: take another method, or odeint with the times")
    callbacks = forward_callbacks(func, name, forward.callbacks, forward.time_dtype)
    return Call(func, y0, forward, "backprop", None, callbacks).dense(t)
