"""torchdiffeq's interface over `node.entrance`: its users change only their import, to `from node import odeint`.

Arguments, options, callbacks and results have the meaning of torchdiffeq's README and further documentation, and the
same defaults. The differences, with numbers for release 0.2.5:

- A solve that fails raises SolveError with advice. An unknown option gives a warning with the nearest known one.
- In torchdiffeq results of scipy_solver silently have no gradient; here their backward pass raises an error. A slope
  must have the state's shape, up to dimensions of size 1: torchdiffeq's fixed steps broadcast a single entry over the
  state. States of integers are refused.
- The last step lands on the end time, where torchdiffeq interpolates. Between steps its bosh3 and dopri8 have errors
  of 2.5e-3 and 8e-4 at a tolerance of 1e-5 (y' = y cos t), ours 2e-5.
- `adaptive_heun` and `fehlberg2` evaluate f at the end of a step, where torchdiffeq uses the last stage instead, which
  makes adaptive_heun's error three times as large.
- A gradient in the times is the true solution's. Through fixed steps torchdiffeq's is zero in an output on the grid.
"""

from node.torchdiffeq_api.odeint import odeint
from node.torchdiffeq_api.odeint_adjoint import odeint_adjoint
from node.torchdiffeq_api.odeint_dense import odeint_dense
from node.torchdiffeq_api.odeint_event import odeint_event

__all__ = ["odeint", "odeint_adjoint", "odeint_dense", "odeint_event"]
