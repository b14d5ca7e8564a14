"""Sections of the page: a study's answers, figures and tables."""

from dataclasses import dataclass

from reports.views.parts.answer import Answer
from reports.views.parts.figure import Figure
from reports.views.parts.table import Table


@dataclass(frozen=True)
class Section:
    """A section: what the page shows of a study."""

    study: str  # name of the study, which is also the anchor
    title: str
    question: str
    answers: tuple[Answer, ...] = ()
    reading: str = ""  # how to read the figures
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    noise: str = ""  # the noise floor of its times; empty if nothing was timed
