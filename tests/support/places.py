"""The folders that tests read from."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATABASES = ROOT / "tests" / "databases"  # one of each older schema
EXAMPLES = ROOT / "docs" / "examples"
