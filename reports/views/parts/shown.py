"""The tables of the database's environments and sweeps: which of them the page shows, and how to show others."""

from collections.abc import Collection, Mapping
from typing import Any

from pandas import DataFrame

from reports.views.parts.table import Column, Table, number, tabulate, words
from reports.views.selection import Selection
from results import format as text


def of_environment(selection: Selection) -> DataFrame:
    """All runs of the environment that is shown, the newest first."""
    every, fingerprint = selection.every_run, selection.runs["fingerprint"].iloc[-1]
    return every[every["fingerprint"] == fingerprint].iloc[::-1]


def environment_table(selection: Selection) -> Table | None:
    """The table of environments: how each differs from the one that is shown; None if there are no others."""
    shown = selection.runs.iloc[-1]
    groups = list(selection.every_run.groupby("fingerprint", sort=False))
    if len(groups) == 1:
        return None
    newest_first = sorted(groups, key=lambda group: -group[1]["sequence"].max())
    return tabulate(
        "Environments in the database",
        [
            Column("environment", lambda group: words(group[0])),
            Column("shown", lambda group: words("yes" if group[0] == shown["fingerprint"] else "no")),
            Column("runs", lambda group: number(len(group[1]), text.count), True),
            Column("newest run", lambda group: words(text.date(group[1]["started_at"].iloc[-1]))),
            Column("other than here", lambda group: words(_difference(group[1]["facts"].iloc[-1], shown["facts"]))),
        ],
        newest_first,
    )


def _difference(facts: Mapping[str, str], shown: Mapping[str, str]) -> str:
    names = [name for name in {**facts, **shown} if facts.get(name) != shown.get(name)]
    return "; ".join(f"{name} {facts.get(name, 'none')}" for name in names)


def sweep_table(selection: Selection) -> Table:
    """The table of the environment's sweeps, by name and text, and which of them are shown."""
    shown = set(selection.runs["sweep_sha"])
    every = of_environment(selection)
    newest = dict(zip(every["sweep_name"].iloc[::-1], every["sweep_sha"].iloc[::-1], strict=True))
    return tabulate(
        "Sweeps that were run here",
        [
            Column("sweep", lambda row: words(row["sweep_name"])),
            Column("text", lambda row: words(row["sweep_sha"][:8])),
            Column("newest run", lambda row: words(f"{text.date(row['started_at'])}, {row['run_id'][:8]}")),
            Column("shown", lambda row: words(_shown_of(row, shown, newest))),
        ],
        every.drop_duplicates("sweep_sha").to_dict("records"),
    )


def _shown_of(row: Mapping[str, Any], shown: Collection[str], newest: Mapping[str, str]) -> str:
    if row["sweep_sha"] not in shown:
        return f"no: --sweep {row['sweep_sha'][:8]} shows it"
    return "yes" if newest[row["sweep_name"]] == row["sweep_sha"] else "what was measured of it: it was edited since"
