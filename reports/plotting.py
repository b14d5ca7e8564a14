"""matplotlib and seaborn as they ship, whatever settings the user has made for plots of their own.

matplotlib reads a file `matplotlibrc` when it is loaded: the working folder's, or else the user's. It is loaded from
where its own is, since a bad one would be complained of or raise. What was set later, `as_shipped` leaves out.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_FOLLOWED = getattr(os, "O_PATH", os.O_RDONLY)  # to go back, a folder need not be readable


@contextmanager
def _quiet() -> Iterator[None]:
    """A body in which matplotlib does not tell of a home without room for its caches, which it makes elsewhere then."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _beside_its_own_settings() -> Iterator[None]:
    """A body whose working folder is where matplotlib keeps the settings that it ships with."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:  # the import says so
        yield
        return
    try:
        before = os.open(os.curdir, _FOLLOWED)
    except OSError:  # no working folder that can be entered, nor its settings then
        yield
        return
    try:
        os.chdir(Path(spec.origin).with_name("mpl-data"))
        yield
    finally:
        os.fchdir(before)
        os.close(before)


with _quiet(), _beside_its_own_settings():
    import matplotlib
    import seaborn
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

__all__ = [
    "Axes", "Axis", "Figure", "FigureCanvasAgg", "FixedLocator", "FuncFormatter", "Line2D", "LogLocator",
    "MaxNLocator", "NullFormatter", "NullLocator", "as_shipped", "seaborn",
]  # fmt: skip


@contextmanager
def as_shipped(changed: Any) -> Iterator[None]:
    """A body with matplotlib's own defaults but for what is changed; afterwards all is as it was."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changed)
        yield
