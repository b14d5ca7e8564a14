"""The control groups that this process is in: limits of memory and CPU that the machine's own numbers do not show."""

from collections.abc import Iterator
from pathlib import Path

from bench.machine.files import text_of

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def read(controller: str, *names: str, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> dict[Path, str]:
    """The text of the first file with one of these names, by folder: this process's group, then each that contains it.

    Names differ between the two versions of control groups. A group that has none of these files is left out.
    """
    texts = {folder: _first(folder, names) for folder in _folders(controller, root, membership)}
    return {folder: text for folder, text in texts.items() if text}


def _folders(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """The groups' folders, innermost first: version 2 has one tree, version 1 one for each controller."""
    for line in text_of(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            top = root / controllers
            inner = top / group.lstrip("/")  # a container sees its own group as the top, whatever its name
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _first(folder: Path, names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := text_of(folder / name))), "")
