"""A new file for a user's extension: a template with the user's name in it."""

import builtins
import keyword
import re
from importlib import util
from importlib.resources import files
from pathlib import Path

from bench.extensions import known
from bench.failure import UsageError, shortened


def text_of(kind: str, name: str) -> str:
    """The template of a problem, a backend or a solver, with this name in place of its own."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
        raise UsageError(f"{shortened(name)!r} is no name for a {kind}: write lower-case letters, digits and _")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in dir(builtins):
        raise UsageError(f"{name!r} is a word of Python: take another name")
    if util.find_spec(name) is not None:
        raise UsageError(f"{name!r} is the name of a module, which the file would hide: take another name")
    if known(kind, name):
        raise UsageError(f"there is a {kind} {name!r} already: take another name")
    template = files("bench.own.templates").joinpath(f"{kind}.py").read_text(encoding="utf-8")
    title = "".join(part.capitalize() for part in name.split("_"))
    return template.replace(f"my_{kind}", name).replace(f"My{kind.capitalize()}", title)


def write(kind: str, name: str, path: Path) -> None:
    """Write the template of a kind to a new file; a UsageError if the file exists or cannot be written."""
    text = text_of(kind, name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists and is left as it is: pass another file with -o") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}: pass another file with -o") from None
