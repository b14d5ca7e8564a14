"""The streams of the command line: pipes that close, disks that are full, terminals with ASCII only."""

import os
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer

from bench.cli import answer, app
from tests.support.places import ROOT

NODEBENCH = f"{shlex.quote(sys.executable)} -m bench"


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the line in bash, NODEBENCH being the command line; the exit code is that of the first command."""
    return subprocess.run(
        ["bash", "-c", f"{line.replace('NODEBENCH', NODEBENCH)}\nexit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.exhaustive
def test_a_reader_that_closes_the_pipe_early_is_no_failure(tmp_path):
    done = shell(tmp_path, "NODEBENCH plan default | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("key ")


@pytest.mark.exhaustive
def test_a_refusal_that_nobody_reads_has_its_exit_code(tmp_path):
    for line in ("NODEBENCH plam 2>&1 >/dev/null | head -0", "NODEBENCH plam 2>&-", "NODEBENCH plam 2>/dev/full"):
        done = shell(tmp_path, line)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", ""), line


@pytest.mark.parametrize("verb", ["--help", "plan smoke"])
def test_a_full_output_is_reported_in_one_line_with_exit_code_2(tmp_path, verb):
    done = shell(tmp_path, f"NODEBENCH {verb} > /dev/full")
    assert done.returncode == 2
    assert re.fullmatch(r"nodebench: standard output: No space left on device: .*\n", done.stderr)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_nothing_else(tmp_path, closed):
    streams = closed.split()
    done = shell(tmp_path, f"NODEBENCH db stats --db missing.db {closed}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("" if "2>&-" in streams else "nodebench: no database at missing.db")
    assert done.stderr.count("\n") == ("2>&-" not in streams)
    done = shell(tmp_path, f"NODEBENCH --version {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in streams else f"nodebench {metadata.version('nodebench')}\n")


def test_a_non_blocking_pipe_gets_the_whole_output(tmp_path):
    """Another process that shares the pipe may have made it non-blocking; the reader is slow."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    code = "from bench.streams import standard_streams\nwith standard_streams(): print('x' * 1_000_000)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT) as process:
        os.close(writing)
        with open(reading) as file:
            assert len(file.read()) == 1_000_001
        assert process.communicate()[1] == b""
    assert process.returncode == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["asked for", "of the locale"],
)
def test_a_terminal_of_ascii_gets_ascii_only(tmp_path, environment):
    done = shell(tmp_path, "NODEBENCH list problems", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    done = shell(tmp_path, "NODEBENCH plan 'größer ∂ \xff'", **environment)
    assert done.returncode == 2
    assert done.stderr.startswith("nodebench: unknown sweep 'gr")
    assert done.stderr.isascii()
    assert done.stderr.count("\n") == 1


def test_messages_have_no_control_characters(tmp_path):
    done = shell(tmp_path, r"NODEBENCH plan $'a\nb\x1b[31m\r.toml' --db $'x\ty'", FORCE_COLOR="1")
    assert done.returncode == 2
    assert re.search(r"[\x00-\x09\x0b-\x1f]", done.stderr) is None
    assert done.stderr.count("\n") == 1


def test_a_completion_that_cannot_be_installed_is_reported_in_one_line(tmp_path):
    home = tmp_path / "home"
    home.write_text("a file")
    done = shell(tmp_path, "NODEBENCH --install-completion", HOME=str(home), SHELL="/bin/bash")
    assert done.returncode == 2
    assert re.fullmatch(r"nodebench: .*home.*\n", done.stderr)


@pytest.mark.parametrize(
    ("shell_name", "expected"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef nodebench"), ("fish", "complete --command nodebench")],
)
def test_a_completion_script_is_made_for_each_shell(tmp_path, shell_name, expected):
    done = shell(tmp_path, "NODEBENCH", _NODEBENCH_COMPLETE=f"source_{shell_name}")
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("plan sm", {"smoke"}), ("list so", {"solvers"}), ("db back", {"backup"}), ("run --str", {"--strict"})],
)
def test_bash_completes_verbs_options_sweeps_and_what_can_be_listed(tmp_path, typed, offered):
    done = shell(
        tmp_path,
        "NODEBENCH",
        _NODEBENCH_COMPLETE="complete_bash",
        COMP_WORDS=f"nodebench {typed}",
        COMP_CWORD=str(len(typed.split())),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == offered


COMMANDS = typer.main.get_command(app).commands
VERBS = [*(name for name in COMMANDS if name != "db"), *(f"db {name}" for name in COMMANDS["db"].commands)]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_verb_has_an_example_and_fits_80_columns(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert answer([*verb.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"Examples?:\n +nodebench {verb}", out)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize("group", [[], ["db"]])
def test_without_a_verb_the_help_explains_each_verb_in_a_whole_sentence(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert answer(group) == 2
    out = capsys.readouterr().out
    for verb in VERBS:
        *of, name = verb.split()
        if of == group:
            assert re.search(rf"^  {name}  .*\.$", out, re.MULTILINE), verb
    assert "..." not in out.split("Commands:")[1]
