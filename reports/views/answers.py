"""The answers of a report in few words: what won in each study."""

from dataclasses import dataclass

from reports.views.report import study_section
from reports.views.selection import select
from reports.views.wanted import BY_DEFAULT, Wanted
from results.store import Store


@dataclass(frozen=True)
class StudyAnswers:
    """What won in a study."""

    title: str  # of the study
    said: tuple[str, ...]  # an answer each, the most important first


def answers(store: Store, wanted: Wanted = BY_DEFAULT) -> list[StudyAnswers]:
    """The answers of the studies that a report on `wanted` shows; a study in which too little is measured has none."""
    sections = (study_section(study, cells) for study, cells in select(store, wanted).studies.items())
    return [
        StudyAnswers(section.title, tuple(answer.sentence for answer in section.answers))
        for section in sections
        if section.answers
    ]
