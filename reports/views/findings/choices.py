"""The table of an answer: a row for each choice, with its time over the best choice's and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.measured import MeasuredCell
from reports.views.findings.comparison import Comparison
from reports.views.parts.answer import CHOICE, ERROR, MEMORY, NFE, TIME, VERDICT, Scale
from reports.views.parts.table import Column, Table, Value, number, tabulate, words
from results import format as text
from results.metrics import METRICS

PEAK = METRICS["peak_bytes"].meaning
CALLS = {
    "forward_s": METRICS["nfe_forward"].meaning,
    "gradient_s": "calls of the vector field in the forward and the backward pass",
}
BEST = "best"
NOT_COMPARED = "not compared"  # it shares no round with the best choice, not even through a control
RATIO = "time over that of the best choice, by paired ratios: the line is the 95% interval, the mark the ratio"


@dataclass(frozen=True)
class Choice:
    """A choice with the cell that stands for it."""

    name: str
    hue: str
    measured: MeasuredCell
    time: Comparison | None  # over the best choice; None for the best, and where the two cannot be compared
    best: bool = False
    note: str = ""  # its step or tolerances
    remark: str = ""  # beside the verdict
    verdict_instead: str = ""  # of a choice whose time does not decide

    @property
    def verdict(self) -> str:
        """The verdict in a few words: best, no difference, 2.0× slower, wrong by 100 %."""
        if self.verdict_instead:
            return self.verdict_instead
        if self.best:
            return BEST
        return self.time.verdict if self.time else NOT_COMPARED

    @property
    def few_processes(self) -> bool:
        """Whether too few processes were timed to compare the choice with the best."""
        return self.time is not None and not self.time.differs and self.time.few_processes

    @property
    def tied(self) -> bool:
        """Whether the choice was compared with the best and is not told apart from it."""
        return self.time is not None and not self.time.differs and not self.few_processes

    @property
    def slower(self) -> bool:
        """Whether the choice is called slower than the best."""
        return self.time is not None and self.time.differs


def choice_table(caption: str, choices: Sequence[Choice], *, error: str, clock: str) -> Table:
    """The table of the choices in their order; `error` and `clock` are the names of the metric and the samples."""
    scale = Scale.of(each.time.ratio if each.time else None for each in choices)
    return tabulate(
        caption,
        [
            Column[Choice](
                CHOICE, lambda each: replace(words(each.name, hue=each.hue, link=each.measured.key), note=each.note)
            ),
            Column(TIME, lambda each: _time(each, scale, clock), True, f"{METRICS[clock].meaning}: {RATIO}"),
            Column(ERROR, lambda each: number(each.measured.value(error), text.error), True, METRICS[error].meaning),
            Column(MEMORY, lambda each: number(each.measured.value("peak_bytes"), text.size), True, PEAK),
            Column(NFE, lambda each: number(calls(each.measured, clock), text.count), True, CALLS[clock]),
            Column(VERDICT, lambda each: replace(words(each.verdict), note=each.remark)),
        ],
        choices,
    )


def calls(measured: MeasuredCell, clock: str) -> float:
    """The calls of the vector field in what the clock times: the forward solve, or that and its backward pass."""
    forward = measured.value("nfe_forward")
    return forward if clock == "forward_s" else forward + measured.value("nfe_backward")


def _time(choice: Choice, scale: Scale, clock: str) -> Value:
    seconds = text.seconds(choice.measured.value(clock))
    if choice.best:
        return scale.one(note=seconds)
    if choice.time is None:
        return Value(text.MISSING, None, note="" if seconds == text.MISSING else seconds)
    return scale.value(choice.time.ratio, note=seconds, quiet=not choice.time.differs)
