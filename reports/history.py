"""Histories of metrics in words: which series are shown, their changes, and what a reader must know."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.charts import Chart, chart
from results import format as text
from results.escaping import one_line
from results.read.history import Point, Series
from results.statistics.change_points import LEAST_VALUES, SIGNIFICANCE, Change

_SEVERAL = 3  # cells that change in one run: fewer may be a coincidence
_KEY_DIGITS = 8
_REVISION_DIGITS = 10


@dataclass(frozen=True)
class Told:
    """A change in words."""

    change: Change
    size: str  # +5.2 %, or 40 calls → 46 calls (+15 %)
    less_sure: bool  # whether it is one of seconds
    point: Point  # the first one after it
    code: tuple[str, ...]  # facts about the measured code that are others since

    @property
    def line(self) -> str:
        """The change in one line: its size, and the run, day and revision since which it holds."""
        point, seconds = self.point, " in seconds, less sure," if self.less_sure else ""
        since = f"run {short(point.run_id)}, {text.day(point.started_at)}, revision {revision(point)}"
        return f"{self.size}{seconds} at {since}"


@dataclass(frozen=True)
class SeriesView:
    """A series with its changes in words."""

    series: Series
    changes: tuple[Told, ...]

    @property
    def form(self) -> Callable[[float], str]:
        """The function that turns a value into text."""
        return form_of(self.series)

    @property
    def what(self) -> str:
        """What the values are, in words: a ratio and to which cell, or the metric's meaning."""
        series = self.series
        if series.control:
            over = "" if series.metric.name != "gradient_s" else " (its forward solve, if it has no more)"
            return f"{series.metric.meaning}, over the same of {series.control.label}{over}"
        return f"{series.metric.meaning}{'; less sure: no control was timed beside it' if series.less_sure else ''}"

    @property
    def anchor(self) -> str:
        """The address of the series on the page."""
        return f"{self.series.fingerprint}-{self.series.cell.key}-{self.series.metric.name}"

    @property
    def chart(self) -> Chart:
        """The values as a chart."""
        return chart(self.series, self.form)


@dataclass(frozen=True)
class Shown:
    """The series that are shown, and what a reader must know of them and of the others."""

    series: tuple[SeriesView, ...]  # those with the largest changes first
    opening: str  # how much was looked at, and how much of it changed
    notices: tuple[str, ...]
    environments: int


def shown(series: Sequence[Series], *, every: bool) -> Shown:
    """The changed series, or all of them."""
    views = [SeriesView(one, tuple(_told(one, change) for change in one.changes)) for one in series]
    chosen = [view for view in views if every or view.changes]
    environments = len({one.fingerprint for one in series})
    return Shown(
        tuple(sorted(chosen, key=_place)), _opening(views), (*_notices(views), *_together(series)), environments
    )


def form_of(series: Series) -> Callable[[float], str]:
    """The function that turns a value of the series into text."""
    return text.times if series.control else lambda value: text.of_metric(value, series.metric)


def short(run_id: str) -> str:
    """The start of a run's id, which names it."""
    return one_line(run_id[:_KEY_DIGITS])


def revision(point: Point) -> str:
    """The start of the revision, with a plus sign if the code differed from it."""
    if not point.revision:
        return "unknown"
    return f"{one_line(point.revision[:_REVISION_DIGITS])}{'+' if point.dirty else ''}"


def _place(view: SeriesView) -> tuple[bool, float, str, str]:
    """The order of series: those that are less sure last, then by the largest change."""
    sizes = [abs(told.change.relative) for told in view.changes]
    largest = max((size if size == size else float("inf") for size in sizes), default=-1.0)
    return view.series.less_sure, -largest, view.series.cell.label, view.series.metric.name


def _told(series: Series, change: Change) -> Told:
    size = text.change(change.relative) if change.relative == change.relative else ""
    if series.metric.exact:
        before, after = text.apart(change.before, change.after, form_of(series))
        size = f"{before} → {after}" + (f" ({size})" if size else "")
    return Told(change, size, series.less_sure, series.points[change.index], series.code_changes(change))


def _opening(views: Sequence[SeriesView]) -> str:
    runs = len({(one.series.fingerprint, point.run_id) for one in views for point in one.series.points})
    cells = len({one.series.cell.key for one in views})
    changed = sum(bool(view.changes) for view in views)
    return (
        f"{text.count(changed)} of {text.count(len(views))} series, of {text.plural(cells, 'cell')}, changed over "
        f"{text.plural(runs, 'run')}."
    )


def _notices(views: Sequence[SeriesView]) -> list[str]:
    sampled = [view.series for view in views if not view.series.metric.exact]
    said = []
    if few := sum(len(one.points) < LEAST_VALUES for one in sampled):
        have = "series has" if few == 1 else "series have"
        said.append(
            f"{text.count(few)} {have} fewer than {LEAST_VALUES} values that vary from run to run: too few for a "
            "change point to be sure. Steps of exact metrics show from the second run on."
        )
    if tested := len(sampled) - few:
        said.append(
            f"{text.count(tested)} series of values that vary were tested, each at {100 * SIGNIFICANCE:g} %: if none "
            f"had changed, about {tested * SIGNIFICANCE:.2g} would be marked."
        )
    if left_out := sum(one.left_out for one in sampled):
        said.append(
            f"{text.plural(left_out, 'value')} left out: the run timed the cell in no round of its series' control."
        )
    return said


def _together(series: Sequence[Series]) -> list[str]:
    """Notices of runs in which most cells beside one control changed the same way: it may be the control's change."""
    beside = [one for one in series if one.control]
    every = Counter((one.fingerprint, one.control, one.metric.name) for one in beside)
    found = Counter(
        (one.fingerprint, one.control, one.metric.name, one.points[change.index].run_id, change.after < change.before)
        for one in beside
        for change in one.changes
    )
    said = []
    for (fingerprint, control, name, run_id, less), count in found.items():
        if count >= _SEVERAL and count > every[fingerprint, control, name] / 2 and control:
            said.append(
                f"{name} of {count} of {every[fingerprint, control, name]} cells {'fell' if less else 'rose'} together "
                f"at run {short(run_id)}: it may be their control that changed, {control.label}."
            )
    return said
