"""The figures of a report under names that can be typed and stay the same, such as adaptive/error-against-time."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reports.views.parts.figure import Figure
from reports.views.parts.section import Section
from reports.views.report import study_section
from reports.views.selection import select
from reports.views.wanted import BY_DEFAULT, ReportError, Wanted
from results.names import nearest
from results.store import Store


@dataclass(frozen=True)
class NamedFigure:
    """A figure of a study, or one of its panels alone."""

    name: str  # study/caption, and of one panel of several study/caption/title
    title: str  # the study's title and the figure's caption, and the title of the only panel
    figure: Figure
    alone: bool = False  # one panel of the figure before


def named_figures(store: Store, wanted: Wanted = BY_DEFAULT) -> list[NamedFigure]:
    """The figures of the studies that a report on `wanted` shows, each followed by its panels if it has several."""
    return of_sections(study_section(study, cells) for study, cells in select(store, wanted).studies.items())


def of_sections(sections: Iterable[Section]) -> list[NamedFigure]:
    """The figures of the sections, each followed by its panels if it has several."""
    return distinct([named for section in sections for named in _of_section(section)])


def _of_section(section: Section) -> Iterator[NamedFigure]:
    for figure in section.figures:
        name, title = f"{typed(section.study)}/{typed(figure.caption)}", f"{section.title}: {figure.caption}"
        if len(figure.panels) == 1:
            yield NamedFigure(name, f"{title}, {figure.panels[0].title}", figure)
            continue
        yield NamedFigure(name, title, figure)
        names = [panel.name or panel.title for panel in figure.panels]
        for panel, said in zip(figure.panels, names, strict=True):
            full = said if names.count(said) == 1 else f"{said} {panel.y.label} against {panel.x.label}"
            alone = replace(figure, panels=(panel,))
            yield NamedFigure(f"{name}/{typed(full)}", f"{title}, {panel.title}", alone, alone=True)


def distinct(figures: Sequence[NamedFigure]) -> list[NamedFigure]:
    """The figures, where the second of a name has -2 at its end, the third -3."""
    found: dict[str, NamedFigure] = {}
    for each in figures:
        name, times = each.name, 1
        while name in found:
            times += 1
            name = f"{each.name}-{times}"
        found[name] = replace(each, name=name)
    return list(found.values())


def figure_named(figures: Sequence[NamedFigure], name: str) -> NamedFigure:
    """The figure of this name; a ReportError with the nearest one if there is none."""
    for each in figures:
        if each.name == name:
            return each
    raise ReportError(f"no figure {name!r}{nearest(name, [each.name for each in figures])}")


def typed(said: str) -> str:
    """The text as a part of a name: small letters, digits and points with hyphens between, in ASCII."""
    plain = unicodedata.normalize("NFKD", said).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-.") or "figure"
