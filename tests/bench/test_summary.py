"""The summary at the end of a run: ten lines at most, whatever won and failed."""

from dataclasses import replace

import pytest

import reports
from bench.answers import summary
from bench.answers.census import Census
from bench.sweep.file import load_sweep
from reports.views.answers import StudyAnswers, answers
from results.records import Cell
from results.store import Store

CELL = Cell(problem="spiral", backend="node", solver="rk4", horizon=1.0, n_outputs=2, dt=0.1)
FAILED = [(replace(CELL, seed=seed), status) for seed, status in enumerate(["timeout", "error", "crashed"] * 20)]


def census_of(ends: list[tuple[Cell, str]]) -> Census:
    return Census(0, {cell.key: cell for cell, _ in ends}, {cell.key: status for cell, status in ends})


@pytest.fixture
def answered(monkeypatch):
    def answer(*studies: StudyAnswers) -> None:
        monkeypatch.setattr(reports, "answers", lambda _store, _wanted: list(studies))

    return answer


def test_what_failed_takes_four_lines_at_most(answered):
    failures = list(census_of(FAILED).failures("mine.toml", ["solver=rk4"], "a b.db"))
    assert len(failures) == 4
    first = FAILED[0][0]
    assert failures[0] == f"failed (timeout): {first.key} and 19 more  {first.label}"
    assert failures[2] == f"nodebench show {first.key} --db 'a b.db' tells all that is known of the first"
    assert failures[3].startswith("nodebench run mine.toml --db 'a b.db' --only solver=rk4 --again failed ")
    assert list(census_of([(CELL, "ok"), (CELL, "unsupported")]).failures("mine.toml", [], "a.db")) == []


def test_each_answer_has_a_line_as_long_as_there_is_room(answered, store):
    sweep = load_sweep("smoke")
    studies = [StudyAnswers(f"Study {i}", ("cosine: rk4", "spiral: \x1b[1mdopri5")) for i in range(3)]
    answered(*studies)
    assert summary.won_lines(store, sweep, room=6)[:2] == ["Study 0: cosine: rk4", "Study 0: spiral: \\x1b[1mdopri5"]
    assert summary.won_lines(store, sweep, room=3)[2] == "Study 2: cosine: rk4 (1 more answer on the page)"
    assert summary.won_lines(store, sweep, room=2)[1] == "and of 2 more studies, on the page"
    answered()
    assert summary.won_lines(store, sweep, room=2) == []


def test_the_answers_are_those_of_the_page(measured_path, content):
    with Store.open(str(measured_path)) as store:
        found = answers(store)
    assert [each.title for each in found] == [section.title for section in content.sections if section.answers]
    assert found[0].said[0] == content.sections[0].answers[0].sentence
