"""A test of the checks on input: thousands of damaged and hostile files, given to the verbs that read them.

    python docs/examples/hostile --databases 2000 --imports 500

Each is a small database, or a file of pytest-benchmark's, with damage drawn at random: to its bytes, to a value, to a
table. One of the verbs reads it, in a new process. Then all promises to the user are checked: an answer within ten
seconds, no traceback, one line for a refusal; the file that was read is unchanged, byte for byte; the database that is
written to is unchanged after a refusal, and sound after a success. With --postgres URL half of the databases that are
written to, and a third of the damaged ones, are on that server. Exit code 1 if there is a finding.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from damage import damaged_file, damaged_json
from sqlalchemy import select
from stock import benchmark, file_with_rows, stock

from bench.main import main as nodebench
from results.schema.tables import metadata
from results.store import Store

if TYPE_CHECKING:
    from damage_server import Server

LONGEST_S = 10
_ON_SERVER = 1 / 3  # of the damaged databases, if there is a server
VERBS = (
    ("db", "merge", "{other}", "--db", "{ours}"),
    ("db", "merge", "{other}", "--on-conflict", "newer", "--db", "{ours}"),
    ("db", "check", "--db", "{other}"),
    ("db", "stats", "--db", "{other}"),
    ("db", "runs", "--db", "{other}"),
    ("db", "export", "{out}/summary.csv", "--db", "{other}"),
    ("db", "export", "{out}/curves.json", "--frame", "curves", "--db", "{other}"),
    ("db", "backup", "{out}/copy.db", "--db", "{other}"),
    ("show", "--db", "{other}"),
    ("plan", "smoke", "--db", "{other}"),
    ("show", "gradient=none", "--db", "{other}"),
    ("report", "--output", "{out}/report", "--db", "{other}"),
    ("compare", "{other}", "{other}", "--all", "--output", "{out}/compare"),
    ("report", "--table", "{out}/summary.tex", "--db", "{other}"),
    ("figure", "--db", "{other}"),
    ("history", "--all", "--db", "{other}"),
    ("history", "--all", "--output", "{out}/history", "--db", "{other}"),
)


@dataclass(frozen=True)
class Answer:
    """The exit code and the output of a verb."""

    code: int  # exit code; below 0: the signal that ended the process
    out: str
    err: str

    def wrong(self) -> Iterator[str]:
        """The promises that the answer breaks, which hold for every verb and every input."""
        if self.code == -signal.SIGALRM:
            yield f"no answer within {LONGEST_S} s"
        elif self.code not in (0, 1, 2):
            yield f"ended with {self.code}"
        if "Traceback" in self.err or "Error:" in self.err:
            yield "a traceback"
        if any(not line.startswith("nodebench: ") for line in self.err.splitlines()):
            yield "a line that is not nodebench's"
        if self.code == 2 and not 1 <= self.err.count("\n") <= 2:  # a notice may stand before the refusal
            yield "a refusal that is not one line"


def called(folder: Path, arguments: list[str]) -> Answer:
    """Call nodebench in a process forked from this one."""
    if not (process := os.fork()):
        os.chdir(folder)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        signal.alarm(LONGEST_S)
        sys.argv = ["nodebench", *arguments]
        try:
            nodebench()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(int(end.code or 0))
        except BaseException:  # noqa: BLE001  (uncaught errors are what this looks for)
            traceback.print_exc()
            os._exit(70)
    _, status = os.waitpid(process, 0)
    output = [(folder / name).read_text(errors="replace") for name in ("out.txt", "err.txt")]
    return Answer(os.waitstatus_to_exitcode(status), *output)


def content(url: str) -> str:
    """A hash of every row of every table."""
    found = hashlib.sha256()
    with Store.open(url) as store, store.database.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table).order_by(*table.primary_key)):
                found.update(repr(tuple(row)).encode())
    return found.hexdigest()


def digest(folder: Path) -> dict[str, str]:
    """A hash of each file of a folder, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


class Case:
    """One damaged database or file, and the verb that reads it."""

    def __init__(self, root: Path, seed: str, ours: str, server: "Server | None") -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.folder = root / "case"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "there").mkdir(parents=True)
        (self.folder / "out").mkdir()
        self.ours = ours

    def database(self, sound: Path) -> tuple[str, Answer, list[str]]:
        """The result for a damaged database: a description of verb and damage, the answer, and what is wrong."""
        if self.server and self.chance.random() < _ON_SERVER:
            other, damage = self.server.other, self.server.damaged(self.chance)
        else:
            self.server, other = None, str(self.folder / "there" / "other.db")
            shutil.copy(sound, other)
            damage = damaged_file(Path(other), self.chance)
        verb = self.chance.choice(VERBS)
        named = {"other": other, "ours": self.ours, "out": str(self.folder / "out")}
        description = f"{' '.join(verb[: 1 + (verb[0] == 'db')])}, {damage}"
        return self._judged(description, [part.format(**named) for part in verb], merges="merge" in verb)

    def file(self) -> tuple[str, Answer, list[str]]:
        """The result for a damaged file to be imported, like that for a database."""
        self.server, path = None, self.folder / "there" / "benchmark.json"
        path.write_bytes(damaged_json(benchmark(), self.chance))
        return self._judged("db import", ["db", "import", str(path), "--db", self.ours], merges=True)

    def _judged(self, description: str, arguments: list[str], *, merges: bool) -> tuple[str, Answer, list[str]]:
        before, read = content(self.ours) if merges else "", self._read_only()
        answer = called(self.folder, arguments)
        wrong = list(answer.wrong())
        if merges:
            if self._read_only() != read:
                wrong.append("what was read has changed")
            if answer.code and content(self.ours) != before:
                wrong.append("refused, and yet something came in")
            if not answer.code and called(self.folder, ["db", "check", "--db", self.ours]).code:
                wrong.append("what came in is not sound")
        return description, answer, wrong

    def _read_only(self) -> object:
        """The content of what the verb may read but not change."""
        return self.server.content() if self.server else digest(self.folder / "there")


def main() -> int:
    """Try the number of cases that is asked for, and print the findings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--databases", type=int, default=2000)
    parser.add_argument("--imports", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case; each finding prints its number")
    parser.add_argument("--postgres", default="", help="URL of a database beside which others may be made")
    asked = parser.parse_args()
    found, ends = 0, Counter[str]()
    import_module("reports.page")  # once, for all that are forked
    with tempfile.TemporaryDirectory() as name:
        root, server = Path(name), None
        sound = file_with_rows(root / "sound.db", "theirs")
        targets = [str(file_with_rows(root / "ours.db", "ours"))]
        if asked.postgres:
            from damage_server import Server  # its driver is an extra

            server = Server(asked.postgres)
            for url, made, name in ((server.ours, "hostile_ours", "ours"), (server.sound, "hostile_sound", "theirs")):
                server.make(made)
                with Store.open(url, create=True) as store:
                    stock(store, name)
            targets.append(server.ours)
        for count in range(asked.databases + asked.imports):
            number = asked.first + count
            case = Case(root, f"{asked.seed}-{number}", targets[number % len(targets)], server)
            description, answer, wrong = case.database(sound) if count < asked.databases else case.file()
            ends[f"{description.partition(',')[0]}: exit code {answer.code}"] += 1
            if wrong:
                found += 1
                print(f"--seed {asked.seed} --first {number}: {description[:200]}: {'; '.join(wrong)}")
                print(f"{answer.out[-300:]}{answer.err[-2000:]}", flush=True)
    if server:
        server.drop()
    print(*(f"{count:5d}  {end}" for end, count in sorted(ends.items())), sep="\n")
    print(f"{asked.databases} databases, {asked.imports} files to import: {found or 'no'} finding(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
