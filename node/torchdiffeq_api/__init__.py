"""torchdiffeq's interface over `node.entrance`: `from node import odeint` is all that its users change.

Arguments, options, callbacks and results mean what torchdiffeq's README and further documentation say; defaults are
theirs. What differs, with release 0.2.5's numbers:

- A solve that fails raises SolveError with advice. An unknown option is warned of with the nearest.
- Results that scipy_solver gives have no gradient there; here their backward pass says so. A slope is to have the
  state's entries in its order: fixed steps there stretch one entry over a state. States of integers are refused.
- The last step lands on the end time, which torchdiffeq interpolates. Between steps its bosh3 and dopri8 err by 2.5e-3
  and 8e-4 at a tolerance of 1e-5 (y' = y cos t), ours by 2e-5.
- `adaptive_heun` and `fehlberg2` evaluate f at the end of a step, where torchdiffeq takes the last stage for it: three
  times adaptive_heun's error.
- A gradient in the times is the true solution's. Through fixed steps torchdiffeq's is zero in an output on the grid.
"""

from node.torchdiffeq_api.odeint import odeint
from node.torchdiffeq_api.odeint_adjoint import odeint_adjoint
from node.torchdiffeq_api.odeint_dense import odeint_dense
from node.torchdiffeq_api.odeint_event import odeint_event

__all__ = ["odeint", "odeint_adjoint", "odeint_dense", "odeint_event"]
