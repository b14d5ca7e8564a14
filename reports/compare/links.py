"""The links between two sides: cells of unchanged code that were timed beside others on both.

Two runs share no rounds. But a cell of the same code, in the same environment, is the same subject in both: what was
timed beside it before and what was timed beside it after are compared through it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pandas import Series, concat

from reports.compare.measured_side import MeasuredSide, cells_of
from reports.measured import MeasuredCell
from reports.reading import cell_of, controls, tied, ties
from results.read.where import Where
from results.records import Cell
from results.tools.sides import Side

Samples = Mapping[str, Series]
Links = Mapping[tuple[Any, ...], list[tuple[str, Samples]]]  # by block, each with the key of its cell


def linked(before: Side, after: Side, one: MeasuredSide, other: MeasuredSide) -> tuple[MeasuredSide, MeasuredSide]:
    """The sides, whose cells have the links of their blocks in place of the ties of one side."""
    links: defaultdict[tuple[Any, ...], list[tuple[str, Samples]]] = defaultdict(list)
    for cell, samples in (*_controls(before, after), *_unchanged(one, other)):
        links[cell.block].append((cell.key, samples))
    return _with(links, one), _with(links, other)


def _controls(before: Side, after: Side) -> Iterator[tuple[Cell, Samples]]:
    """The samples of all controls, in all runs of the environment: they may link through runs of neither side."""
    here = Where(fingerprint=before.fingerprint)
    stores = list({side.store.database.place: side.store for side in (before, after)}.values())
    keys = sorted({key for store in stores for key in controls(store, here)})
    if not keys:
        return
    frame = concat([ties(store, here, keys) for store in stores], ignore_index=True)
    frame = frame.drop_duplicates(["run_id", "cell_key", "process_index", "name", "round_index"])
    known = concat([cells_of(store, keys) for store in stores], ignore_index=True)
    yield from tied(frame, {row["cell_key"]: cell_of(row) for row in known.to_dict("records")})


def _unchanged(one: MeasuredSide, other: MeasuredSide) -> Iterator[tuple[Cell, Samples]]:
    """The samples, of both sides together, of each cell whose code is the same on both; the most samples first."""
    found = []
    for key in one.code.keys() & other.code.keys():
        before, after = one.cells[key], other.cells[key]
        if one.code[key] == other.code[key]:
            names = before.samples.keys() & after.samples.keys()
            found.append((before.cell, {name: _joined(before.samples[name], after.samples[name]) for name in names}))
    return iter(sorted(found, key=lambda pair: (-sum(map(len, pair[1].values())), pair[0].key)))


def _joined(one: Series, other: Series) -> Series:
    return concat([one, other[~other.index.isin(one.index)]])


def _with(links: Links, side: MeasuredSide) -> MeasuredSide:
    return replace(side, cells={key: _linked(each, links) for key, each in side.cells.items()})


def _linked(each: MeasuredCell, links: Links) -> MeasuredCell:
    """The cell with its links. It is none itself: that it is as fast as before is what is asked."""
    others = tuple(samples for key, samples in links.get(each.cell.block, ()) if key != each.key)
    return replace(each, block=replace(each.block, ties=others))
