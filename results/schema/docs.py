"""The schema as Markdown, made from the tables themselves: a picture in Mermaid, and a table of columns for each."""

from collections.abc import Iterator

from sqlalchemy import Column, Table
from sqlalchemy.dialects import sqlite

from results.schema import tables

BEGIN, END = "<!-- schema: made by `python -m results.schema.docs` -->", "<!-- end of the schema -->"
GROUPS = {
    "What was asked for": (tables.sweep, tables.cell, tables.planned),
    "Where and when": (tables.environment, tables.run, tables.source, tables.lease),
    "What was measured": (tables.trial, tables.metric, tables.sample, tables.curve),
    "What is derived or kept": (
        tables.summary,
        tables.noise_floor,
        tables.reference,
        tables.baseline,
        tables.baseline_trial,
        tables.annotation,
    ),
    "The schema itself": (tables.nodebench,),
}
PICTURES = {  # from left to right or from top to bottom
    "What is asked for and what is measured": (
        True,
        (
            *(tables.sweep, tables.environment, tables.run, tables.cell, tables.planned),
            *(tables.source, tables.trial, tables.metric, tables.sample, tables.curve),
        ),
    ),
    "What stands around it": (
        False,
        (
            *(tables.lease, tables.summary, tables.noise_floor),
            *(tables.annotation, tables.baseline, tables.baseline_trial),
        ),
    ),
}
_SHOWN = 6  # columns of a table in a picture, beside its keys


def with_schema(page: str) -> str:
    """The page with the schema as it is now between the two markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    drawn = [f"{title}:\n\n{picture(*drawn, across=across)}" for title, (across, drawn) in PICTURES.items()]
    return "\n".join([f"{before}{BEGIN}", *drawn, columns(), f"{END}{after}"])


def picture(*drawn: Table, across: bool) -> str:
    """An entity-relationship diagram of these tables; other tables that they refer to appear as bare names."""
    lines = ["erDiagram", f"    direction {'LR' if across else 'TB'}"]
    for table in drawn:
        for column in table.c:
            for key in column.foreign_keys:
                edge = f"{key.column.table.name} {_cardinality(table, column)} {table.name}"
                lines.append(f"    {edge} : {column.name}")
    for table in drawn:
        lines += [f"    {table.name} {{", *(f"        {line}" for line in _entity(table)), "    }"]
    return "\n".join(["```mermaid", *lines, "```", ""])


def columns() -> str:
    """The description of all columns: a section for each group, a Markdown table for each table."""
    parts = []
    for title, group in GROUPS.items():
        parts.append(f"### {title}\n")
        parts += [f"**`{table.name}`**: {table.comment}\n\n{_columns_of(table)}" for table in group]
    return "\n".join(parts)


def _cardinality(table: Table, column: Column[object]) -> str:
    """Mermaid's sign for a foreign key: from any number of rows, or from one where the column is the whole key."""
    many = "o|" if list(table.primary_key) == [column] else "o{"
    return f"{'|o' if column.nullable else '||'}--{many}"


def _entity(table: Table) -> Iterator[str]:
    keys = [column for column in table.c if column.primary_key or column.foreign_keys]
    others = [column for column in table.c if column not in keys]
    for column in [*keys, *others[:_SHOWN]]:
        marks = ", ".join(_marks(column))
        yield f"{_type(column)} {column.name} {marks}".rstrip()
    if len(others) > _SHOWN:
        yield f"and others_{len(others) - _SHOWN}"


def _columns_of(table: Table) -> str:
    lines = ["| column | type | what it holds |", "|---|---|---|"]
    for column in table.c:
        key = "".join(f" {mark}" for mark in _marks(column))
        null = ", or null" if column.nullable and "null" not in str(column.comment) else ""
        lines.append(f"| `{column.name}`{key} | {_type(column)} | {column.comment}{null} |")
    return "\n".join([*lines, ""])


def _marks(column: Column[object]) -> list[str]:
    return ["PK"] * column.primary_key + ["FK"] * bool(column.foreign_keys)


def _type(column: Column[object]) -> str:
    return {"varchar": "text"}.get(name := column.type.compile(sqlite.dialect()).lower().partition("(")[0], name)


def main() -> None:
    """Write the schema into docs/database.md, when called from the folder above docs."""
    from pathlib import Path

    page = Path("docs/database.md")
    page.write_text(with_schema(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
