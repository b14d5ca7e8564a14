"""The sweeps that ship with nodebench."""

from importlib import resources
from pathlib import Path


def shipped() -> dict[str, Path]:
    """The files of the shipped sweeps, by name."""
    folder = Path(str(resources.files("bench") / "sweeps"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
