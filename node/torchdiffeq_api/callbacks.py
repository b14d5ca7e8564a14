"""torchdiffeq's callbacks: methods of the vector field that are called as steps are taken."""

import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from node.layout import State
from node.trajectory import Callback, Callbacks

# Called with (t0, y0, dt): before a step is tried, after it is accepted, after it is rejected. dt > 0 in either
# direction of time.
STEP, ACCEPT, REJECT = "callback_step", "callback_accept_step", "callback_reject_step"
OF_FIXED, OF_ADAPTIVE = (STEP,), (STEP, ACCEPT, REJECT)


def forward_callbacks(func: Any, method: str, supported: Collection[str], dtype: torch.dtype) -> Callbacks:
    """The callbacks of func, with times in the dtype; warns of callbacks that the method never calls."""
    missing = [name for name in OF_ADAPTIVE if hasattr(func, name) and name not in supported]
    if missing:
        warnings.warn(f"method {method!r} does not call {', '.join(missing)}", stacklevel=3)
    return _callbacks(func, "", supported, dtype, lambda y: y)


def adjoint_callbacks(func: Any, supported: Collection[str], dtype: torch.dtype, y0: State) -> Callbacks:
    """The callbacks of the backward solve, `callback_step_adjoint` and so on, whose state is (t, y, dL/dy, *dL/dp).

    t is zero, as a gradient to the times is no part of the backward solve. Where y0 is a tuple, y and dL/dy are flat.
    """
    shape = y0.shape if isinstance(y0, Tensor) else (-1,)

    def as_user_state(state: State) -> State:
        y, a, *g = state
        return y.new_zeros(()), y.view(shape), a.view(shape), *g

    return _callbacks(func, "_adjoint", supported, dtype, as_user_state)


def _callbacks(
    func: Any, suffix: str, supported: Collection[str], dtype: torch.dtype, as_user_state: Callable[[State], State]
) -> Callbacks:
    def wrapped(name: str) -> Callback | None:
        callback = getattr(func, name + suffix, None) if name in supported else None
        if callback is None:
            return None

        def call(t: float, y: State, dt: float) -> None:
            state = as_user_state(y)
            device = (state[0] if isinstance(state, tuple) else state).device
            times = torch.tensor([t, abs(dt)], dtype=dtype, device=device)
            callback(times[0], state, times[1])

        return call

    return Callbacks(step=wrapped(STEP), accept=wrapped(ACCEPT), reject=wrapped(REJECT))
