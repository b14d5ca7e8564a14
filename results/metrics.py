"""The metrics: what trials measure, in which unit, and how each number is read.

A metric is added by its line here and by the function that measures it. The columns of the table `summary` follow from
these lines: a database that was made with other lines gets the columns when it is opened to be written.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from results.records import TrialKind

LESS, NEITHER = True, None  # whether less is better
EXACT, SAMPLED = True, False
EVERY_KIND = None


@dataclass(frozen=True)
class Metric:
    """A number that trials measure."""

    name: str  # ends in its unit where it has one; the name of a column of `summary`
    unit: str  # a sign, or what is counted; "1" for ratios and for answers of yes or no
    less_is_better: bool | None  # None: the number is no merit
    exact: bool  # the same whenever it is measured again; if not, it is sampled: it varies, and its median is read
    meaning: str  # for a person, with the unit in words
    kind: TrialKind | None  # of the trials that measure it; None: every kind

    @property
    def how_read(self) -> str:
        """How the number is to be read, in a few words: "exact, less is better"."""
        merit = {True: ", less is better", False: ", more is better", None: ""}[self.less_is_better]
        return f"{'exact' if self.exact else 'sampled'}{merit}"


_LINES: Mapping[TrialKind | None, tuple[tuple[str, str, bool | None, bool, str], ...]] = {
    "counts": (
        ("nfe_forward", "calls", LESS, EXACT, "calls of the vector field in the forward pass"),
        ("nfe_backward", "calls", LESS, EXACT, "calls of the vector field in the backward pass"),
        ("vjp_backward", "products", LESS, EXACT, "vector-Jacobian products of the vector field in the backward pass"),
    ),
    "accuracy": (
        ("error", "state", LESS, EXACT, "largest absolute error over outputs and components, in the state's unit"),
        ("error_final", "state", LESS, EXACT, "largest absolute error over components at the end, in the state's unit"),
        ("gradient_error", "1", LESS, EXACT, "relative 2-norm distance from the true gradient (float64, to 1e-12)"),
        ("gradient_error_discrete", "1", LESS, EXACT, "relative 2-norm distance from backprop through the same steps"),
    ),
    "timing": (
        ("first_call_s", "s", LESS, SAMPLED, "seconds of the first call, which fills caches and compiles"),
        ("forward_s", "s", LESS, SAMPLED, "seconds of a forward solve"),
        ("gradient_s", "s", LESS, SAMPLED, "seconds of a forward solve with its loss and backward pass"),
        ("call_s", "s", LESS, SAMPLED, "seconds of a call of an imported benchmark"),
        ("unstable", "1", NEITHER, SAMPLED, "1 if timing ended before the ratio to the control was sure, 0 if after"),
        ("cut_ratio", "1", NEITHER, SAMPLED, "times slower than a cell no less exact: timed no further for that"),
        ("gpu_clock_mhz", "MHz", NEITHER, SAMPLED, "streaming multiprocessors' clock as timing ended, in MHz"),
        ("gpu_throttled", "1", NEITHER, SAMPLED, "1 if the GPU held its clock down for heat or power, 0 if not"),
    ),
    "memory": (
        ("peak_bytes", "bytes", LESS, EXACT, "largest number of live bytes allocated by the measured call"),
        ("saved_bytes", "bytes", LESS, EXACT, "live bytes that the loss holds for its backward pass"),
        ("peak_rss_bytes", "bytes", LESS, SAMPLED, "peak resident set of the fresh process in bytes, with libraries"),
    ),
    "training": (
        ("initial_loss", "loss", NEITHER, EXACT, "loss on the whole trajectory before training"),
        ("final_loss", "loss", LESS, EXACT, "loss on the whole trajectory after training"),
        ("train_s", "s", LESS, SAMPLED, "seconds of all training iterations"),
        ("nfe_start", "calls", LESS, EXACT, "calls of the vector field in the forward pass of the first iteration"),
        ("nfe_end", "calls", LESS, EXACT, "calls of the vector field in the forward pass of the last iteration"),
    ),
    EVERY_KIND: (
        ("busy_s", "s", NEITHER, SAMPLED, "seconds in which the trial's process prepared, warmed up and measured"),
    ),
}
METRICS: Mapping[str, Metric] = {line[0]: Metric(*line, kind=kind) for kind, lines in _LINES.items() for line in lines}
