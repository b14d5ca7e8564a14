"""Every row that comes in is checked: if it breaks a rule, the whole trial, run or merge is refused."""

import hashlib
import math
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from results.engine.location import StoreError
from results.records import Curve, Environment, NoiseFloor, Planned, Sample, Source
from results.store import Store
from results.tools.merge import merge
from tests.support.stocked import CELLS, PLAN, a_run, a_trial, exactly, measure, stock

LONG = "x" * 300

TRIALS = {
    "status = 'fine'": {"status": "fine"},
    "kind = 'time'": {"kind": "time"},
    "duration_s = nan": {"duration_s": math.nan},
    "started_at = inf": {"started_at": math.inf},
    "started_at = 1e+300": {"started_at": 1e300},
    "started_at = -1.0": {"started_at": -1.0},
    "process_index = -1": {"process_index": -1},
    "process_index = True": {"process_index": True},
    "position = 2147483648": {"position": 2**31},
    "series = 'a\\x00'": {"series": "a\0"},
    "series = '\\ud800'": {"series": "\ud800"},
    f"series = '{LONG[:39]}...": {"series": LONG},
    "value = 'much'": {"metrics": {"error": "much"}},
    "name = 'b\\x00'": {"metrics": {"b\0": 1.0}},
    "value = inf": {"samples": {"forward_s": [Sample(0, 0, math.inf)]}},
    "round_index = 0.5": {"samples": {"forward_s": [Sample(0.5, 0, 1.0)]}},
    "repeats = -1": {"samples": {"forward_s": [Sample(0, 0, 1.0, -1)]}},
    "x and y have 8 and 24 bytes": {"curves": {"loss": Curve([1.0], [[1.0], [2.0], [3.0]])}},
}  # fmt: skip


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


@pytest.mark.parametrize("said", TRIALS)
def test_a_trial_that_breaks_a_rule_is_refused_on_both_engines(store, said):
    store.begin(a_run("run"), PLAN)
    before = exactly(store)
    with pytest.raises(StoreError) as refused:
        store.record("run", replace(a_trial(), **TRIALS[said]))
    assert said in str(refused.value)
    assert exactly(store) == before


RUNS = {
    "run '\\ud800'": ({"id": "\ud800"}, {}),
    "volatile.load = 1": ({"volatile": {"load": 1}}, {}),
    "measure.rounds = nan": ({"measure": {"rounds": math.nan}}, {}),
    "facts.a = None": ({"environment": Environment({"a": None})}, {}),
    "text = '\\x00'": ({"sweep_text": "\0"}, {}),
    "horizon = inf": ({}, {"horizon": math.inf}),
    "solver = 3": ({}, {"solver": 3}),
    "n_outputs = '2'": ({}, {"n_outputs": "2"}),
}


@pytest.mark.parametrize("said", RUNS)
def test_a_run_that_breaks_a_rule_is_refused_on_both_engines(store, said):
    of_run, of_cell = RUNS[said]
    before = exactly(store)
    with pytest.raises(StoreError) as refused:
        store.begin(replace(a_run("run"), **of_run), [Planned("study", replace(CELLS[0], **of_cell))], [Source({})])
    assert said in str(refused.value)
    assert exactly(store) == before


def test_a_noise_floor_of_nan_is_refused_on_both_engines(store):
    measure(store, "run", started_at=1.0)
    with pytest.raises(StoreError, match=r"noise_floor run \w+ forward_s: low = nan: it should be a number"):
        store.record_floors("run", [NoiseFloor(CELLS[0].key, "forward_s", 1.0, math.nan, 1.0, 3)])
    assert store.noise_floors().empty


HOSTILE = {
    "its key is no hash": "update cell set solver = 'LIES' where solver = 'euler'",
    "environment": 'update environment set facts = \'{"cpu": "another"}\'',
    "source": "update source set facts = '{}'",
    "sweep": "update sweep set text = text || '#'",
    "its array has 8 bytes": "update reference set shape = '[3]'",
    "not finite": "update reference set array = x'000000000000f07f'",
    "status = 'fine'": "update trial set status = 'fine'",
    "state = 'going'": "update run set state = 'going'",
    "started_at = 1e+300": "update trial set started_at = 1e300",
    "duration_s = inf": "update trial set duration_s = 9e999",
    "value = 'x'": "update sample set value = 'x'",
    "value = b'": "update metric set value = x'00'",
    "length and width": "update curve set length = 9",
    "x = 'text'": "update curve set x = 'text'",
    "position = -1": "update planned set position = -1",
    "facts": "update environment set facts = '[]'",
    "cannot be read": "update environment set facts = '{'",
    "measure.rounds": 'update run set measure = \'{"rounds": "many"}\'',
    "goals": 'update run set goals = \'{"study": {"fame": 1}}\'',
    "\\x00": "update trial set reason = 'a' || char(0)",
    "UTF-8": "update trial set reason = cast(x'ff' as text)",
    "of trial that are missing": "insert into metric values (999, 'error', 1.0)",
    "a trigger on trial": "create trigger t after insert on trial begin delete from cell; end",
    "a view named sample": "drop table sample; create view sample as with recursive n(i) as "
    "(select 1 union all select i + 1 from n) select i as trial_id from n",
    "a virtual table named metric": "drop table metric; create virtual table metric using fts5(name)",
    "generated columns in its table annotation": "alter table annotation add column more as (hex(zeroblob(1000)))",
    "its table trial is not as nodebench makes it": "alter table trial add column more",
    "its table curve is not as nodebench makes it": "drop table curve",
}


def files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A closed database file with rows in every table, alone in its folder."""
    path = tmp_path / "theirs" / "other.db"
    with Store.open(str(path), create=True) as store:
        stock(store)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = delete")
    return path


@pytest.fixture
def ours(url):
    with Store.open(url, create=True) as store:
        measure(store, "ours", started_at=1.0)
        yield store


@pytest.mark.parametrize("said", HOSTILE)
def test_a_hostile_database_is_refused_whole_and_stays_as_it_is(said, theirs, ours, call):
    with closing(sqlite3.connect(theirs)) as connection:
        connection.executescript(HOSTILE[said])
        connection.commit()
    before, there = exactly(ours), files(theirs.parent)
    code, out, err = call("db", "merge", str(theirs), "--db", ours.database.url.render_as_string(hide_password=False))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert exactly(ours) == before
    assert files(theirs.parent) == there
    code, out, err = call("db", "check", "--db", str(theirs))
    assert code in (1, 2)
    assert (out or err).count("\n") >= code == 1 or err.count("\n") == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_damaged_bytes_is_refused_or_merges_into_a_sound_database(seed, theirs, tmp_path, call):
    """If the damage is in bytes that are not read, everything is merged."""
    chance, content = random.Random(seed), bytearray(theirs.read_bytes())
    for _ in range(chance.choice((1, 10, 1000))):
        content[chance.randrange(100, len(content))] = chance.randrange(256)
    theirs.write_bytes(content)
    there = files(theirs.parent)
    code, _, err = call("db", "merge", str(theirs), "--db", str(tmp_path / "new.db"))
    assert code in (0, 2)
    assert err.count("\n") == (1 if code else 0)
    assert files(theirs.parent) == there
    backup = call("db", "backup", str(tmp_path / "copy.db"), "--db", str(theirs))
    assert backup[0] in (0, 2)
    if code == 0:
        assert call("db", "check", "--db", str(tmp_path / "new.db"))[1].rstrip().endswith("sound")


def test_a_row_of_one_key_and_other_content_is_a_conflict(tmp_path, url):
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs, Store.open(url, create=True) as ours:
        for store, started_at, error in ((ours, 1.0, 0.5), (theirs, 2.0, 0.25)):
            store.begin(a_run("run", started_at=1.0), PLAN)
            store.record("run", replace(a_trial(started_at=started_at), metrics={"error": error}))
        before = exactly(ours)
        row = f"trial run {CELLS[0].key} timing 0"
        with pytest.raises(StoreError, match=rf"have 1 row\(s\) of one key and other content \({row}\): nothing was"):
            merge(ours, theirs)
        assert exactly(ours) == before
        kept = merge(ours, theirs, on_conflict="keep")
        assert (kept.rows, kept.kept, kept.replaced) == ({}, [row], [])
        assert exactly(ours) == before
        taken = merge(ours, theirs, on_conflict="newer")
        assert (taken.kept, taken.replaced) == ([], [row])
        assert list(ours.metrics()["value"]) == list(ours.summary()["error"]) == [0.25]
        assert merge(ours, theirs).rows == {}
        assert merge(theirs, ours).rows == {}
