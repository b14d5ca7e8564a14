"""The report's sections, with a file for each: a new file here that registers a function adds a section."""

from collections.abc import Callable, Sequence
from types import FunctionType

from node.registry import Registry
from reports.measured import MeasuredCell
from reports.views.parts.section import Section

MakeSection = Callable[[str, Sequence[MeasuredCell]], Section]  # (name of the study, its cells that have a number)

SECTIONS: Registry[MakeSection] = Registry("section", FunctionType, entry_points="nodebench.sections", package=__name__)
