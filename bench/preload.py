"""What the forkserver loads once, so that a worker is forked warm in some hundredths of a second.

The imports beside our own are those that torch puts off until a first backward pass or a first optimiser step: half a
second each, and no part of any workload; and the command line, which each worker imports as its main module. What is
loaded is frozen: a collection in a worker would otherwise walk all of it, and copy every page that it touches.
"""

import gc
from importlib import import_module

from bench.machine.descendants import adopt
from bench.source import library

for _name in ("torch._dynamo", "torch.fx.experimental.symbolic_shapes", "memray", "bench.main", "bench.worker"):
    import_module(_name)

library("node")  # its hash, read beside the code itself: a worker would read what has been edited since
adopt()  # what a worker leaves when it ends
gc.collect()
gc.freeze()
