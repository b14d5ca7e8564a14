"""The sweeps that ship."""

from importlib import resources
from pathlib import Path


def shipped() -> dict[str, Path]:
    """Their files by name."""
    folder = Path(str(resources.files("bench") / "sweeps"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
