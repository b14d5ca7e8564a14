"""A side in words, and what a reader of two sides must know first."""

import shlex

from reports.compare.verdicts import SideView
from results import format as text
from results.tools.sides import Side

_REVISION = 10  # digits of a git revision that are shown


def view(side: Side) -> SideView:
    """The side as a reader must know it."""
    return SideView(_label(side), (*_facts(side), f"environment {side.fingerprint}"), _show(side))


def _label(side: Side) -> str:
    name = side.name[:_REVISION] if side.kind == "revision" else side.name
    where = "" if side.kind == "database" else f" in {side.store.database.place}"
    return f"{side.kind} {name}{where}"


def _facts(side: Side) -> tuple[str, ...]:
    newest = side.runs.iloc[-1]
    sweeps = list(dict.fromkeys(side.runs["sweep_name"]))
    named = text.listed(sweeps) if len(sweeps) <= 3 else text.plural(len(sweeps), "sweep")
    revisions = [each for each in dict.fromkeys(side.runs["git_revision"]) if each]
    code = [each[:_REVISION] for each in revisions[-3:]]
    dirty = " with uncommitted changes" if side.runs["git_dirty"].any() else ""
    runs = text.plural(len(side.runs), "run")
    return (
        f"{runs} of {named}, the newest {newest['run_id'][:8]} of {text.date(newest['started_at'])}",
        f"revision {text.listed(code)}{dirty}" if code else "revision unknown",
    )


def _show(side: Side) -> str:
    named = shlex.join(["--of", side.called, "--db", side.store.database.place])
    return f"nodebench show KEY {named}"


def notices(before: Side, after: Side) -> tuple[str, ...]:
    """What a reader must know before any number."""
    said = []
    if before.fingerprint != after.fingerprint:
        said.append(
            f"The environments differ ({before.fingerprint} and {after.fingerprint}): times are not compared, and "
            "exact numbers may differ by the rounding of other hardware or libraries."
        )
    for letter, side in (("A", before), ("B", after)):
        ended = side.runs[side.runs["state"] != "complete"]
        if side.kind in ("run", "revision") and not ended.empty:
            run_id, state = ended["run_id"].iloc[-1][:8], ended["state"].iloc[-1]
            said.append(f"{letter}: run {run_id} is {state}: what it has not measured is unknown.")
    return tuple(said)
