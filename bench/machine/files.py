"""Files in which the kernel tells of the machine."""

from pathlib import Path


def said(path: Path) -> str:
    """What it says, without the last line's end; empty where there is no such file, or it may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
