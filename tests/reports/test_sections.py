"""A section of the report is one file in reports/views/studies, or an entry point of an installed distribution."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from reports import ReportError
from reports.views.report import study_section
from reports.views.studies import SECTIONS
from tests.support.made import a_cell
from tests.support.places import ROOT

ADDED = '''
"""Study `warmth`: what the processor was heated to."""

from reports.views.parts.section import Section
from reports.views.studies import SECTIONS


@SECTIONS.register(name="warmth")
def section(study, cells):
    """How warm it was."""
    return Section(study, "Warmth", f"How warm were {len(cells)} cells?")
'''
PROGRAM = """
from reports.views.report import study_section
from reports.views.studies import SECTIONS
from tests.support.made import a_cell
section = study_section("warmth", [a_cell(forward_s=1.0)])
print(section.title, section.question, SECTIONS.doc("warmth"), SECTIONS.origin("warmth"), sep="|")
"""


def test_a_section_is_added_by_one_file(tmp_path):
    shutil.copytree(ROOT / "reports", tmp_path / "reports", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "reports" / "views" / "studies" / "warmth.py").write_text(ADDED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, text=True, capture_output=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )  # fmt: skip
    assert done.stdout == "Warmth|How warm were 1 cells?|How warm it was.|built in\n"


def test_a_section_that_an_installed_distribution_cannot_load_is_a_report_error(monkeypatch):
    broken = EntryPoint(name="broken", value="no.such.module", group="nodebench.sections")
    monkeypatch.setitem(SECTIONS.__dict__, "_installed", {"broken": broken})
    with pytest.raises(ReportError, match=r"section 'broken' of no\.such\.module cannot be loaded: "):
        study_section("broken", [a_cell(forward_s=1.0)])


def test_each_section_has_a_description():
    assert all(SECTIONS.doc(name) for name in SECTIONS)
