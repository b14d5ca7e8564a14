"""The folders that tests read from."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATABASES = ROOT / "tests" / "databases"  # a database of each older schema version
EXAMPLES = ROOT / "docs" / "examples"
