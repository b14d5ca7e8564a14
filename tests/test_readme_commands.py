"""The commands of README and of the pages in docs: each of them succeeds when it is typed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from bench.cli import app
from bench.sweep.file import load_sweep
from bench.sweep.measure import Measure
from bench.sweep.shipped import shipped
from bench.verbs.list_ import Registry
from tests.support.pytest_benchmarks import made

ROOT = Path(__file__).parents[1]
PAGES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
README = PAGES[ROOT / "README.md"]
PROSE = {path: re.sub(r"```.*?```", "", text, flags=re.DOTALL) for path, text in PAGES.items()}

LEFT_OUT = {  # the beginning of a line, and why it is not run here
    "make bench": "takes minutes, and makes an environment of its own in the tree",
    "make test": "would run this test",
    "make hostile": "takes half an hour; a test gives the verbs a few",
    "make interrupts": "takes an hour or two; a test interrupts a few runs",
}
TESTED_ELSEWHERE = {
    "sql": "tests/results/test_docs.py",
    "mermaid": "tests/results/test_docs.py",
    "postgresql": "tests/results/test_rights.py",
    "": "no command",
}
SQLITE3 = """
import sqlite3
import sys

for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]):
    print(*row, sep="|")
"""


class Block(NamedTuple):
    page: str
    language: str
    body: str
    saved_as: str  # the name that the page gives it; empty without one


def blocks() -> Iterator[Block]:
    """The fenced blocks of all pages, from top to bottom."""
    for path, text in PAGES.items():
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
            named = re.search(r"[Ss]ave this as\s+`([\w.]+)`:\s*$", text[: found.start()])
            yield Block(path.name, found[1], found[2], named[1] if named else "")


def lines(block: Block) -> list[str]:
    """The commands in a block of shell."""
    return [line for line in block.body.replace("\\\n", "").splitlines() if line and not line.startswith("#")]


def left_out(line: str) -> bool:
    return any(re.match(rf"{start}(\s|$)", line) for start in LEFT_OUT)


SHELL = [line for block in blocks() if block.language == "sh" for line in lines(block)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, measured_path) -> Path:
    """A user's folder: the files that the pages read and do not make."""
    path = tmp_path_factory.mktemp("user")
    shutil.copy(measured_path, path / "other.db")
    shutil.copy(made(tmp_path_factory.mktemp("benchmarks"), "--benchmark-json=made.json"), path / "benchmark.json")
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The environment of a user's shell: the commands nodebench and sqlite3, and a Python that has nodebench."""
    commands = tmp_path_factory.mktemp("bin")
    write(commands / "nodebench", 'from bench.__main__ import main\n\nif __name__ == "__main__":\n    main()\n')
    if shutil.which("sqlite3") is None:
        write(commands / "sqlite3", SQLITE3)
    return os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def write(command: Path, code: str) -> None:
    command.write_text(f"#!{sys.executable}\n{code}")
    command.chmod(0o755)


@pytest.mark.exhaustive
def test_every_command_of_the_pages_succeeds_from_top_to_bottom(folder, environment):
    def succeeds(*command: str, stdin: str = "") -> None:
        done = subprocess.run(
            command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{command} {stdin}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command} {stdin}\n{done.stderr}"

    for block in blocks():
        if block.saved_as:
            (folder / block.saved_as).write_text(block.body)
        elif block.language == "python":
            succeeds(sys.executable, "-", stdin=block.body)
        elif block.language == "sh":
            for line in lines(block):
                if not left_out(line):
                    succeeds("bash", "-o", "pipefail", "-c", line)
    assert {"report", "node", "before"} <= {page.parent.name for page in folder.glob("out/*/index.html")}


def test_every_block_is_run_somewhere():
    for block in blocks():
        assert block.language in ("sh", "python", "toml", *TESTED_ELSEWHERE), block
        assert block.language != "toml" or block.saved_as or set(tomllib.loads(block.body)) == {"measure"}, block
    assert len(SHELL) > 15


def test_every_command_that_is_left_out_is_in_a_page():
    assert [start for start in LEFT_OUT if not any(re.match(rf"{start}(\s|$)", line) for line in SHELL)] == []


def test_the_defaults_that_a_page_states_are_those_that_a_sweep_has():
    (stated,) = (tomllib.loads(block.body) for block in blocks() if block.language == "toml" and not block.saved_as)
    assert stated["measure"] == Measure().model_dump(exclude={"memory_gib"})


def test_every_target_that_a_page_names_exists_and_the_readme_names_every_target():
    named = {target for text in PAGES.values() for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)}
    assert {"bench", "test", "regress"} <= named
    for target in sorted(named):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    every = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [target for target in sorted(every) if not re.search(rf"(`|^|make ){target}\b", README, re.MULTILINE)] == []


def spans() -> list[list[str]]:
    """The commands within sentences, split into words; an option without a verb may be of any verb."""
    found = [re.sub(r"\s+", " ", span) for text in PROSE.values() for span in re.findall(r"`([^`]+)`", text)]
    verbs = typer.main.get_command(app).commands
    commands = [shlex.split(span) for span in found if re.match(rf"(nodebench|--|({'|'.join(verbs)}) --)", span)]
    return [words[words[0] == "nodebench" :] for words in commands]


def test_a_command_within_a_sentence_has_the_verb_and_the_options_that_it_names():
    top = typer.main.get_command(app)
    every = {"--help", *(option for verb in (*verbs(top), top) for each in verb.params for option in each.opts)}
    commands = spans()
    assert ["report", "--run"] in commands
    for words in commands:
        verb, known = top, every
        while hasattr(verb, "commands") and words and not words[0].startswith("-"):
            assert words[0] in verb.commands, words
            verb, words = verb.commands[words[0]], words[1:]
            known = {"--help", *(option for each in verb.params for option in each.opts)}
        assert {word for word in words if word.startswith("-")} <= known, words
        if verb.name == "list":
            assert set(words[0].split("|")) <= set(Registry), words
        if verb.name in ("run", "plan"):
            assert {word for word in words if re.fullmatch("[a-z]+", word)} <= set(shipped()), words


def verbs(group: object) -> Iterator[object]:
    for verb in group.commands.values():
        yield from verbs(verb) if hasattr(verb, "commands") else (verb,)


def test_a_key_in_an_example_is_one_of_the_sweep_of_that_example(tmp_path):
    (block,) = (block for block in blocks() if block.saved_as)
    (tmp_path / block.saved_as).write_text(block.body)
    of_readme = {cell.key for cell in load_sweep(str(tmp_path / block.saved_as)).cells}
    of_smoke = {cell.key for cell in load_sweep("smoke").cells}  # the sweep of the examples in the help
    helps = " ".join(verb.epilog or "" for verb in verbs(typer.main.get_command(app)))
    for text, keys in ((README, of_readme), (helps, of_smoke)):
        named = re.findall(r"(?:show|annotate|--again|key=) ?([0-9a-f]{4,16})\b", text)
        assert named
        assert [key for key in named if not any(each.startswith(key) for each in keys)] == []
