"""Damaged sweep files: each gives a valid plan or one clear line, never a traceback, and nothing is written."""

import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bench.failure import UsageError
from bench.sweep.file import load_sweep, shipped

VALID = {name: path.read_text(encoding="utf-8") for name, path in shipped().items()}
SEEDS = range(200)


def two_lines_swapped(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return "".join(lines)


def a_line_lost(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[draw.randrange(len(lines))]
    return "".join(lines)


def a_line_doubled(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    i = draw.randrange(len(lines))
    return "".join([*lines[:i], lines[i], *lines[i:]])


def cut_off(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text))]


def a_letter_changed(text: str, draw: random.Random) -> str:
    i = draw.randrange(len(text))
    return text[:i] + draw.choice('abcxyz019[]{}"=.,-_ \n\t\0é😀') + text[i + 1 :]


def a_letter_lost(text: str, draw: random.Random) -> str:
    i = draw.randrange(len(text))
    return text[:i] + text[i + 1 :]


ODD = (
    "[]",
    "{}",
    '""',
    "-1",
    "0",
    "1e999",
    "nan",
    "inf",
    "true",
    "1979-05-27",
    '"all"',
    "[[]]",
    "[1, [2]]",
    "1e-300",
    "9" * 30,
    "9" * 400,
    "9" * 5_000,
    "0x" + "f" * 5_000,
    "-0.0",
    "1e308",
    "5e-324",
    "2147483648",
    "07:32:00",
    '"cuda:99999999999"',
    "[" * 2_000,
    str(list(range(2, 2_000))),
)


def a_value_changed(text: str, draw: random.Random) -> str:
    values = list(re.finditer(r"(?m)(?<== )[^\n#]+", text))
    chosen = draw.choice(values)
    return text[: chosen.start()] + draw.choice(ODD) + text[chosen.end() :]


def a_key_changed(text: str, draw: random.Random) -> str:
    keys = list(re.finditer(r'(?m)^"?[\w,]+"?(?= =)', text))
    chosen = draw.choice(keys)
    other = draw.choice(
        ["solver", "dt", "rtol", "problem", "nonsense", '"rtol,rtol"', '","', "iterations", "device.kind"]
    )
    return text[: chosen.start()] + other + text[chosen.end() :]


def the_bytes_changed(text: str, draw: random.Random) -> bytes:
    damaged = bytearray(text.encode())
    damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return bytes(damaged)


def from_another_system(text: str, draw: random.Random) -> bytes:
    ended = text.replace("\n", draw.choice(["\r\n", "\r", "\n\r"]))
    return ended.encode(draw.choice(["utf-8-sig", "utf-8", "utf-16", "utf-32", "latin-1"]), errors="replace")


DAMAGES: tuple[Callable[[str, random.Random], str | bytes], ...] = (
    two_lines_swapped, a_line_lost, a_line_doubled, cut_off, a_letter_changed, a_letter_lost, a_value_changed,
    a_key_changed, the_bytes_changed, from_another_system,
)  # fmt: skip


def damaged(seed: int) -> bytes:
    """A shipped sweep, damaged one to three times."""
    draw = random.Random(seed)
    text: str | bytes = VALID[draw.choice(sorted(VALID))]
    for _ in range(draw.randint(1, 3)):
        if isinstance(text, bytes) or not text.strip() or " = " not in text:
            break
        text = draw.choice(DAMAGES)(text, draw)
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_sweep_gives_a_plan_or_one_clear_line(seed, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    path = Path("damaged.toml")
    path.write_bytes(damaged(seed))
    code, out, err = call("plan", str(path))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if code == 0:
        assert re.search(r"\d+ cells, 0 done", out)
        assert err == ""
    else:
        assert code == 2
        assert out == ""
        assert err.startswith("nodebench: ")
        assert err.count("\n") == 1


def test_some_damaged_sweeps_are_still_plans_and_most_are_not(tmp_path):
    plans = 0
    for seed in SEEDS:
        path = tmp_path / "damaged.toml"
        path.write_bytes(damaged(seed))
        with suppress(UsageError):
            plans += bool(load_sweep(str(path)).planned)
    assert 10 <= plans <= 100
