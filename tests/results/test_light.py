"""Modules that derive numbers from samples are light to import."""

import subprocess
import sys

import pytest

HEAVY = ("seaborn", "matplotlib", "jinja2", "scipy", "torch", "alembic")


@pytest.mark.parametrize("module", ["results", "results.statistics.ratio", "results.format"])
def test_modules_that_derive_numbers_load_neither_plotting_nor_torch(module):
    """The runner derives ratios between two timings. This process has loaded much: a new one is asked."""
    said = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
