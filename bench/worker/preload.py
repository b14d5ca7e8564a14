"""The modules that the forkserver loads once, so that a worker is forked warm in some hundredths of a second.

The imports beside our own are those that torch delays until a first backward pass or a first optimiser step, and those
that a backend delays until it solves: half a second each, and not part of any workload; and the command line, which
each worker imports as its main module. The loaded objects are frozen: otherwise a garbage collection in a worker would
visit all of them, and copy every page that it touches.
"""

import contextlib
import gc
import sys
from importlib import import_module

from bench.code_files import library
from bench.machine.descendants import adopt

_BEFOREHAND = ("torch._dynamo", "torch.fx.experimental.symbolic_shapes", "memray", "torchdiffeq")

for _name in (*_BEFOREHAND, "bench.main", "bench.worker.isolated"):
    with contextlib.suppress(Exception):  # a worker that needs the module will report the error
        import_module(_name)


def _print_in_one_line(kind: type[BaseException], error: BaseException, _: object) -> None:
    """Print an error, of a refused fork for example, in one line instead of a traceback."""
    sys.stderr.write(f"nodebench: the process that starts the workers has failed: {kind.__name__}: {error}\n")
    sys.stderr.flush()


sys.excepthook = _print_in_one_line
library("node")  # caches its hash now, with the code: a worker would hash files that may have been edited since
adopt()  # the processes that a worker leaves when it ends
gc.collect()
gc.freeze()
