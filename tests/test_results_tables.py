from dataclasses import fields

import pytest

from results.records import Cell
from results.tables import cell, metadata


@pytest.mark.parametrize("column", [c for table in metadata.sorted_tables for c in table.c], ids=str)
def test_every_column_says_what_it_holds(column):
    assert column.comment


def test_the_cell_table_has_a_column_for_each_field_and_the_key():
    assert [column.name for column in cell.c] == ["key", *(field.name for field in fields(Cell))]


def test_only_what_a_cell_may_leave_out_is_nullable():
    optional = {field.name for field in fields(Cell) if field.default is None}
    assert {column.name for column in cell.c if column.nullable} == optional
