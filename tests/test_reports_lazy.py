import subprocess
import sys

import pytest

import reports

HEAVY = ("seaborn", "matplotlib", "jinja2", "scipy", "sqlalchemy")


@pytest.mark.parametrize("module", ["reports", "reports.statistics", "reports.format"])
def test_what_derives_a_number_loads_no_plotting(module):
    """The runner derives ratios between two timings: in a process of its own, since others have loaded it all."""
    said = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_page_s_names_are_there_when_they_are_asked_for():
    from reports import page

    assert (reports.write, reports.ReportError) == (page.write, page.ReportError)
    with pytest.raises(AttributeError, match="'reports' has no attribute 'wirte'"):
        _ = reports.wirte
