"""matplotlib and seaborn with the settings that they ship with, whatever the user has set for other plots.

matplotlib reads a file `matplotlibrc` when it is loaded: the working folder's, or else the user's, and warns or raises
if that file is bad. So it is loaded in the folder of its own file. `as_shipped` leaves out what is set later.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY)  # to return to a folder, it need not be readable


@contextmanager
def _quiet() -> Iterator[None]:
    """A body in which matplotlib does not warn that it makes its caches elsewhere than in the user's home."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def _in_its_own_folder() -> Iterator[None]:
    """A body whose working folder is the one with matplotlib's own settings."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:  # the import raises an error
        yield
        return
    try:
        before = os.open(os.curdir, _FOLDER_FLAGS)
    except OSError:  # the working folder cannot be entered, so it has no settings
        yield
        return
    try:
        os.chdir(Path(spec.origin).with_name("mpl-data"))
        yield
    finally:
        os.fchdir(before)
        os.close(before)


with _quiet(), _in_its_own_folder():
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
    """A body with matplotlib's own defaults except for `changed`; afterwards the settings are as before.

    A character that the font lacks is drawn as a box, without a warning.
    """
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(changed)
        yield
