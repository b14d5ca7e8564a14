"""A comparison for other programs: rows of plain values, and one object."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from reports.compare.verdicts import Compared, Row, SideView
from results.metrics import METRICS

COLUMNS: Mapping[str, type] = {
    "verdict": str,
    "cell_key": str,
    "cell": str,
    "name": str,  # a metric, or a kind of trials
    "unit": str,
    "before": float,
    "after": float,
    "status_before": str,
    "status_after": str,
    "ratio": float,  # of times, after over before
    "low": float,  # its 95 % interval
    "high": float,
    "noise_floor": float,  # a factor
    "reason": str,
    "detail": str,
}


def rows(compared: Compared) -> Iterator[dict[str, Any]]:
    """The rows of a comparison by COLUMNS; None where a row has no such value."""
    return map(_row, compared.rows)


def _row(row: Row) -> dict[str, Any]:
    before, after = row.statuses or (None, None)
    metric = None if row.statuses else METRICS.get(row.name)
    ratio = row.ratio
    values = (
        str(row.verdict),
        row.cell.key,
        row.cell.label,
        row.name or None,
        metric.unit if metric else None,
        _number(row.before),
        _number(row.after),
        before,
        after,
        ratio.value if ratio else None,
        ratio.low if ratio else None,
        ratio.high if ratio else None,
        _number(row.floor),
        row.reason or None,
        row.detail or None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def as_object(compared: Compared) -> dict[str, Any]:
    """The whole comparison in the types of JSON."""
    return {
        "before": _side(compared.before),
        "after": _side(compared.after),
        "notices": list(compared.notices),
        "environments": {name: list(both) for name, both in compared.environments.items()},
        "counts": {str(each): {"cells": n, "rows": m} for each, (n, m) in compared.counts.items()},
        "rows": list(rows(compared)),
    }


def _side(side: SideView) -> dict[str, Any]:
    return {"label": side.label, "facts": list(side.facts), "show": side.show}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
