"""The report's sections, a file each, and how one is added: by a file here that registers a function of its cells."""

from collections.abc import Callable, Sequence
from types import FunctionType

from node.registry import Registry
from reports.measured import MeasuredCell
from reports.views.parts.section import Section

MakeSection = Callable[[str, Sequence[MeasuredCell]], Section]  # of the study's name and its cells that have a number

SECTIONS: Registry[MakeSection] = Registry("section", FunctionType, entry_points="nodebench.sections", package=__name__)
