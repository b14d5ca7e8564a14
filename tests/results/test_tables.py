"""The tables: comments, natural keys, foreign keys and columns."""

from dataclasses import fields

import pytest
from sqlalchemy import UniqueConstraint

from results.metrics import METRICS
from results.records import Cell
from results.schema.tables import cell, metadata, summary


@pytest.mark.parametrize("column", [c for table in metadata.sorted_tables for c in table.c], ids=str)
def test_every_column_has_a_comment(column):
    assert column.comment


def test_the_cell_table_has_a_column_for_each_field_and_the_key():
    assert [column.name for column in cell.c] == ["key", *(field.name for field in fields(Cell))]


def test_only_the_optional_fields_of_a_cell_are_nullable():
    optional = {field.name for field in fields(Cell) if field.default is None}
    assert {column.name for column in cell.c if column.nullable} == optional


NATURAL = {
    "nodebench": "version_num",
    "sweep": "sha",
    "environment": "fingerprint",
    "run": "id",
    "cell": "key",
    "planned": "run_id study cell_key",
    "lease": "fingerprint cell_key",
    "trial": "run_id cell_key kind process_index",
    "metric": "trial_id name",
    "sample": "trial_id name round_index",
    "curve": "trial_id name",
    "reference": "key",
    "noise_floor": "run_id cell_key name",
    "baseline": "name",
    "baseline_trial": "name trial_id",
    "annotation": "id",
    "source": "key",
    "summary": "run_id cell_key",
}


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_the_natural_key_of_each_table_is_unique(table):
    unique = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    keys = {" ".join(column.name for column in constraint.columns) for constraint in (table.primary_key, *unique)}
    assert NATURAL[table.name] in keys


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_a_column_that_refers_to_another_table_is_a_foreign_key(table):
    targets = {"run_id": "run", "cell_key": "cell", "trial_id": "trial", "sweep_id": "sweep"}
    if table.name != "environment":
        targets["fingerprint"] = "environment"
    for column in table.c:
        referred = {key.column.table.name for key in column.foreign_keys}
        if column.name in targets:
            assert referred == {targets[column.name]}, column


def test_a_column_with_a_unit_in_its_name_has_the_unit_in_its_comment():
    units = {"_s": "second", "_bytes": "bytes", "_at": "seconds since the epoch"}
    for table in metadata.sorted_tables:
        for column in table.c:
            for ending, unit in units.items():
                assert not column.name.endswith(ending) or unit in column.comment, column


def test_the_summary_has_each_field_of_the_cell_and_each_metric():
    names = {column.name for column in summary.c}
    assert names >= {field.name for field in fields(Cell)} | set(METRICS)
