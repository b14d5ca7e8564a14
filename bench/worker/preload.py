"""What the forkserver loads once, so that a worker is forked warm in some hundredths of a second.

The imports beside our own are those that torch puts off until a first backward pass or a first optimiser step, and what
a backend puts off until it solves: half a second each, and no part of any workload; and the command line, which each
worker imports as its main module. What is loaded is frozen: a collection in a worker would otherwise walk all of it,
and copy every page that it touches.
"""

import contextlib
import gc
import sys
from importlib import import_module

from bench.code_files import library
from bench.machine.descendants import adopt

_BEFOREHAND = ("torch._dynamo", "torch.fx.experimental.symbolic_shapes", "memray", "torchdiffeq")

for _name in (*_BEFOREHAND, "bench.main", "bench.worker.isolated"):
    with contextlib.suppress(Exception):  # what cannot be imported, a worker says when it needs it
        import_module(_name)


def _say(kind: type[BaseException], error: BaseException, _: object) -> None:
    """One line in place of a traceback: of a fork that was refused, say."""
    sys.stderr.write(f"nodebench: what starts the workers has failed: {kind.__name__}: {error}\n")
    sys.stderr.flush()


sys.excepthook = _say
library("node")  # its hash, read beside the code itself: a worker would read what has been edited since
adopt()  # what a worker leaves when it ends
gc.collect()
gc.freeze()
