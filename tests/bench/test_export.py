"""`nodebench db export -` as a real process: into a pipe, onto a full device and in an ASCII terminal."""

import io
import json
import os
import subprocess
import sys

import pandas
import pytest

from results.records import Planned
from results.store import Store
from tests.support.stocked import CELLS, a_run, a_trial

NODEBENCH = [sys.executable, "-m", "bench"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    with Store.open(str(folder / "bench.db"), create=True) as store:
        store.begin(a_run("a"), [Planned("solvers", CELLS[0])])
        for index in range(100):  # more than a pipe holds
            store.record("a", a_trial(process_index=index, log_tail="\N{GREEK SMALL LETTER LAMDA}" * 1000))
    return folder


def command(*options: str) -> list[str]:
    return [*NODEBENCH, "db", "export", "-", "--frame", "trials", "--db", "bench.db", *options]


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ((), lambda text: pandas.read_csv(io.StringIO(text)).to_dict("records")),
        (("--format", "json"), json.loads),
        (("--format", "jsonl"), lambda text: [json.loads(line) for line in text.splitlines()]),
    ],
    ids=["csv", "json", "jsonl"],
)
def test_stdout_has_the_rows_and_nothing_else_whatever_the_terminals_encoding(folder, options, read):
    ascii_terminal = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    ended = subprocess.run(command(*options), cwd=folder, env=ascii_terminal, capture_output=True, check=True)
    rows = read(ended.stdout.decode())
    assert {row["log_tail"] for row in rows} == {"\N{GREEK SMALL LETTER LAMDA}" * 1000}
    assert len(rows) == 100
    assert ended.stderr == b""


def test_a_reader_that_closes_the_pipe_early_gets_no_traceback(folder):
    with subprocess.Popen(command(), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"run_id,")
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_full_device_is_reported_in_one_line(folder):
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command(), cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == ("nodebench: stdout cannot be written (No space left on device): name a file elsewhere\n")


def test_a_format_beside_a_file_is_refused_in_one_line(folder, call, monkeypatch):
    monkeypatch.chdir(folder)
    code, out, err = call("db", "export", "a.csv", "--format", "json", "--db", "bench.db")
    assert (code, out) == (2, "")
    assert err == "nodebench: --format json is for stdout, which is called -: the suffix of a.csv says its format\n"
