"""docs/database.md: it shows the schema as it is, and its SQL and Python run."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

import results
from results.metrics import METRICS
from results.schema import docs as schema_docs
from results.schema.tables import metadata
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "database.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, flags=re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
ASKED = (
    "select solver, rtol, gradient, device, forward_s, gradient_s, nfe_forward, nfe_backward, peak_bytes, error, "
    "final_loss, status from summary"
)


def test_the_page_shows_the_schema_as_it_is():
    assert schema_docs.with_schema(TEXT) == TEXT, "run `python -m results.schema.docs`"


def test_every_table_is_in_a_group():
    assert {table for group in schema_docs.GROUPS.values() for table in group} == set(metadata.sorted_tables)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_every_table_is_described_with_each_of_its_columns(table):
    _, _, section = TEXT.partition(f"**`{table.name}`**: {table.comment}")
    rows = section.split("**`", 1)[0]
    for column in table.c:
        assert re.search(rf"^\| `{column.name}`.*\| {re.escape(column.comment)}", rows, flags=re.MULTILINE), column


def test_every_foreign_key_is_an_edge_of_a_picture():
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            pattern = rf"^    {key.column.table.name} \S+ {table.name} : {key.parent.name}$"
            assert re.search(pattern, TEXT, flags=re.MULTILINE), key


def test_no_entity_of_a_picture_is_long():
    for entity in re.findall(r"\{\n(.*?)\n    \}", TEXT, flags=re.DOTALL):
        assert len(entity.splitlines()) <= 12


def test_the_first_query_is_the_one_whose_answer_is_tested_below():
    assert " ".join(QUERIES[0].split()) == f"{ASKED};"


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_of_the_page_has_an_answer(measured_path, query):
    with closing(sqlite3.connect(f"file:{measured_path}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(query)
        assert cursor.fetchall()


def test_the_summary_answers_in_sql_what_the_frame_says(measured_path):
    with closing(sqlite3.connect(measured_path)) as connection:
        rows = connection.execute(f"{ASKED} where status = 'ok' order by run_id, cell_key").fetchall()
    with results.open(str(measured_path)) as store:
        wide = store.summary(results.Where(status="ok"))
    expected = wide[ASKED.removeprefix("select ").removesuffix(" from summary").split(", ")]
    assert rows == [tuple(None if value != value else value for value in row) for row in expected.itertuples(False)]


def test_the_summary_has_a_column_for_every_metric(measured_path):
    with closing(sqlite3.connect(measured_path)) as connection:
        names = {row[1] for row in connection.execute("pragma table_info(summary)")}
    assert names >= set(METRICS)


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="needs the command sqlite3")
def test_the_command_sqlite3_gives_an_answer_too(measured_path):
    done = subprocess.run(["sqlite3", str(measured_path), ASKED], capture_output=True, text=True, check=True)
    assert any(line.startswith("dopri5|1.0e-05|") for line in done.stdout.splitlines())


def test_the_python_of_the_page_runs(call, measured_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    shutil.copy(measured_path, tmp_path / "out" / "bench.db")
    assert call("db", "export", "trials.csv", "--frame", "trials")[0] == 0  # as the page does before it reads the file
    found: dict[str, object] = {}
    for code in PYTHON:
        exec(code, found)
    assert all(len(found[name]) for name in ("wide", "timed", "ever", "trials"))
