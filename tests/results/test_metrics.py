"""A metric is one line in results/metrics.py: its column follows, also in databases that were made before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

import results
from results import METRICS, Where
from results.metrics import Metric
from results.records import TRIAL_KINDS
from results.schema import tables, versions
from results.store import Store
from results.tools.backup import back_up_at
from results.tools.check import findings
from tests.support.one_run import EULER, PLAN, a_run, timing
from tests.support.places import DATABASES, ROOT

AFTER = '    "counts": (\n'
LINE = '        ("warmth_kelvin", "K", LESS, EXACT, "temperature of the processor as counting ended, in kelvin"),\n'
PROGRAM = """
import json, sys
from results.store import Store
with Store.open(sys.argv[1], {how}) as store:
    wide = store.summary()
    warmth = dict(zip(wide["cell_key"], wide["warmth_kelvin"]))
    print(json.dumps(warmth), *store.notices, sep="\\n")
"""


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_a_metric_has_its_unit_in_its_name_a_merit_and_a_meaning(metric):
    endings = {"s": "_s", "bytes": "_bytes", "MHz": "_mhz"}
    assert all(metric.name.endswith(end) == (metric.unit == unit) for unit, end in endings.items())
    assert metric.less_is_better in (True, False, None)
    assert isinstance(metric.exact, bool)
    assert metric.kind in (*TRIAL_KINDS, None)
    assert metric.meaning


def test_how_read_explains_in_words_how_a_metric_is_read():
    said = {
        merit: Metric("a", "1", merit, merit is True, "a number", "counts").how_read for merit in (True, False, None)
    }
    assert said == {True: "exact, less is better", False: "sampled, more is better", None: "sampled"}


def test_the_columns_of_the_summary_are_those_of_the_cell_and_the_metrics():
    assert list(tables.summary.c.keys())[-len(METRICS) :] == list(METRICS)


@pytest.fixture
def extended(tmp_path) -> Path:
    """The folder of a copy of this program to which a metric was added."""
    shutil.copytree(ROOT / "results", tmp_path / "extended" / "results", ignore=shutil.ignore_patterns("__pycache__"))
    metrics = tmp_path / "extended" / "results" / "metrics.py"
    before = metrics.read_text(encoding="utf-8")
    assert before.count(AFTER) == 1
    metrics.write_text(before.replace(AFTER, AFTER + LINE), encoding="utf-8")
    return metrics.parents[1]


def opened_by(program: Path, url: str, how: str, folder: Path) -> tuple[str, str]:
    """The metric in the summary that this program reads, by cell, and the notices that it prints."""
    environment = {**os.environ, "PYTHONPATH": str(program)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(how=how), url],
        cwd=folder, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warmth, _, notices = done.stdout.partition("\n")
    return warmth, notices


def record(url: str, metrics: dict[str, float]) -> None:
    with Store.open(url, create=True) as store:
        store.begin(a_run(), PLAN)
        store.record("run-1", timing(EULER, kind="counts", samples={}, metrics=metrics))


def columns(url: str, table: str) -> list[str]:
    with Store.open(url) as store, store.database.reading() as connection:
        return list(connection.execute(text(f"select * from {table}")).keys())


def test_a_new_metric_has_its_column_as_soon_as_an_earlier_database_is_opened(url, extended, tmp_path):
    record(url, {"nfe_forward": 4.0, "warmth_kelvin": 300.0})
    assert "warmth_kelvin" not in columns(url, "summary")
    warmth, notices = opened_by(extended, url, "write=True", tmp_path)
    assert warmth == f'{{"{EULER.key}": 300.0}}'
    assert "the table summary was made anew, with the metrics of this nodebench" in notices
    assert opened_by(extended, url, "write=True", tmp_path) == (warmth, "")
    assert opened_by(extended, url, "", tmp_path) == (warmth, "")
    # This program reads a table that has more columns than it asks for.
    assert "warmth_kelvin" in columns(url, "summary")
    assert "warmth_kelvin" in columns(url, "latest")


def test_a_metric_that_a_program_does_not_know_is_kept(url, extended, tmp_path):
    record(url, {"nfe_forward": 4.0, "warmth_kelvin": 300.0})
    warmth, _ = opened_by(extended, url, "write=True", tmp_path)
    with Store.open(url, write=True) as store:
        assert "the table summary was made anew" in store.notices[0]
        assert list(store.summary()["nfe_forward"]) == [4.0]
        assert dict(store.metrics()[["name", "value"]].to_numpy()) == {"nfe_forward": 4.0, "warmth_kelvin": 300.0}
        assert list(findings(store)) == []
    assert "warmth_kelvin" not in columns(url, "latest")
    assert opened_by(extended, url, "write=True", tmp_path)[0] == warmth


@pytest.mark.exhaustive
def test_an_older_database_opens_with_a_new_metric(extended, tmp_path):
    old = Path(shutil.copy(DATABASES / "version_1.db", tmp_path / "old.db"))
    for how, expected in (
        ("", "a temporary copy of it, upgraded to"),
        ("write=True", "was upgraded from schema version 1"),
    ):
        warmth, notices = opened_by(extended, str(old), how, tmp_path)
        assert "NaN" in warmth
        assert expected in notices


def test_a_reader_of_a_file_without_a_metric_reads_a_copy_that_has_it(extended, tmp_path):
    path = tmp_path / "bench.db"
    record(str(path), {"warmth_kelvin": 300.0})
    before = path.read_bytes()
    warmth, notices = opened_by(extended, str(path), "", tmp_path)
    assert warmth == f'{{"{EULER.key}": 300.0}}'
    assert "has a table summary of other metrics than this nodebench, and stays as it is" in notices
    assert path.read_bytes() == before


def test_a_reader_of_a_server_without_a_metric_is_told_who_can_add_it(server_url, extended, tmp_path):
    record(server_url, {"warmth_kelvin": 300.0})
    with pytest.raises(AssertionError, match="without some metrics of this nodebench: whoever owns its tables"):
        opened_by(extended, server_url, "", tmp_path)
    warmth, notices = opened_by(extended, server_url, "as_it_is=True", tmp_path)
    assert warmth == f'{{"{EULER.key}": 300.0}}'
    assert "stays as it is" in notices


@pytest.mark.exhaustive
def test_a_backup_of_a_database_with_other_metrics_is_complete(url, extended, tmp_path):
    record(url, {"nfe_forward": 4.0, "warmth_kelvin": 300.0})
    opened_by(extended, url, "write=True", tmp_path)
    path, _ = back_up_at(url, tmp_path / "backup.db")
    with Store.open(path, write=True) as store:
        assert list(store.summary()["nfe_forward"]) == [4.0]
        assert set(store.metrics()["name"]) == {"nfe_forward", "warmth_kelvin"}
        assert list(findings(store)) == []


def test_a_run_spools_its_trials_after_another_program_has_remade_the_summary(url, extended, tmp_path):
    with Store.open(url, create=True) as store:
        store.begin(a_run(), PLAN)
        opened_by(extended, url, "write=True", tmp_path)
        store.record("run-1", timing(EULER))
        assert "was opened meanwhile by a nodebench with other metrics" in str(store.spooled)
    with Store.open(url, create=True) as store:
        assert len(store.trials(Where(run_id="run-1"))) == 1


def test_the_hash_in_a_database_is_of_the_columns_that_its_summary_has(url):
    with Store.open(url, create=True) as store, store.database.reading() as connection:
        assert versions.summary_is_ours(connection)
        assert versions.summary_serves(connection)
    assert results.METRICS is METRICS
