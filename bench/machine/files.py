"""Files in which the kernel describes the machine."""

from pathlib import Path


def text_of(path: Path) -> str:
    """The file's text without surrounding blanks; empty if there is no such file, or it may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
