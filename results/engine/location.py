"""The place of a database: a URL or a path, checked before anything is opened or made."""

import os
import re
import stat
import tempfile
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

# The parameters of a URL whose values may be shown: the value of any other may be a secret.
_PUBLIC = {
    "application_name", "connect_timeout", "dbname", "host", "hostaddr", "port", "service", "sslmode",
    "target_session_attrs", "user",
}  # fmt: skip
_SECRETS = ("password", "sslpassword")
_HIDDEN = "..."
_URL = re.compile(r"[^/]*://|(sqlite|postgres|postgresql)(\+\w*)?:")
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
_EXAMPLES = "write a path such as out/bench.db, sqlite:///out/bench.db, or postgresql://user@host/name"
_LONGEST = 500  # bytes of a path: SQLite's limit is 512, with the suffixes of the files beside it
LOGS = ("-wal", "-shm")  # suffixes of the files that SQLite keeps beside an open database
_KINDS = {stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket", stat.S_ISCHR: "device", stat.S_ISBLK: "device"}


RECOVER = "restore a backup, or save what can be read with `sqlite3 FILE .recover`"  # what to do about a damaged file


class StoreError(Exception):
    """One line for the user: what is wrong, what was seen, what to do. Every error of this package is one."""


class AskedError(StoreError, ValueError):
    """A condition that nothing can meet: a value that no column holds, or an unknown name."""


class AskedTypeError(AskedError, TypeError):
    """A condition with a value of a wrong type: a text where a number belongs."""


class MissingDatabaseError(StoreError):
    """A database that was only to be read, and does not exist yet."""


class MissingRowError(StoreError):
    """A row that refers to something that the database lacks."""


class UnwritableError(StoreError):
    """The database cannot be used now: locked, full, read only, or its server away. Nothing was wrong with the data."""


def is_url(name: str) -> bool:
    """Whether the name is a database's URL, and no path."""
    return _URL.match(name) is not None


def locate(url: str, *, create: bool) -> URL:
    """The checked URL of a database; a plain path means SQLite. `create`: make the file, and the folders above it."""
    parsed = _parse(url)
    path = file_of(parsed)
    if path is not None:
        if str(parsed.database).endswith("/"):
            raise _folder_error(path)
        _check_file(path, create=create)
    return parsed


def file_of(url: URL) -> Path | None:
    """The file of a database; None for a database on a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def beside(path: Path, suffix: str) -> Path:
    """The path of a file that SQLite keeps beside an open database, such as its -wal file."""
    return path.with_name(f"{path.name}{suffix}")


def place(url: URL) -> str:
    """The database's name for messages: without a password, and without any value that may be secret."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    public = url._replace(drivername=url.get_backend_name(), password=None)  # URL.set leaves out what is None
    public = public.difference_update_query(_SECRETS)
    return public.update_query_dict({name: _HIDDEN for name in public.query if name not in _PUBLIC}).render_as_string()


def public(url: str) -> str:
    """The database's name for messages, from a URL or a path as it was given."""
    try:
        return place(_parse(url))
    except StoreError:
        return _without_secrets(url)


def expanded(path: str) -> str:
    """The path with a user's home folder in place of its `~`, which no shell expands within a URL."""
    if not path.startswith("~"):
        return path
    user, slash, rest = path.partition("/")
    home = _home(user)
    if home is None or (user == "~" and os.environ.get("HOME") == ""):
        raise StoreError(f"{path}: no home folder is known for {user}: write the whole path, or ./{path} for that name")
    return f"{str(home).rstrip('/')}{slash}{rest}" or "/"


def _home(user: str) -> Path | None:
    """The home folder of the user `~` or `~name`; None if the user has none."""
    try:
        home = Path(user).expanduser()
    except RuntimeError:
        return None
    return home if home.is_absolute() else None


def state_folder() -> Path:
    """nodebench's folder within the folder where the user's programs keep their state."""
    home = _home("~")
    folder = Path(os.environ.get("XDG_STATE_HOME") or (home / ".local" / "state" if home else ""))
    return (folder if folder.is_absolute() else Path(tempfile.gettempdir())) / "nodebench"  # some users have no home


def _parse(url: str) -> URL:
    if not url.strip():
        raise StoreError("the database's name is empty: pass --db with a path or a URL")
    if "\0" in url:
        raise StoreError(f"malformed path {url!r}: no file's name has a zero byte")
    if not _URL.match(url):
        return _path_url(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"malformed database URL {_without_secrets(url)!r}: {_EXAMPLES}") from error
    if parsed.drivername == "postgres":
        now = place(parsed.set(drivername="postgresql"))
        raise StoreError(f"unknown kind of database 'postgres': its scheme is postgresql now, write {now}")
    if parsed.drivername not in _DRIVERS:
        raise StoreError(f"unknown kind of database {parsed.drivername!r}: {_EXAMPLES}")
    is_file = parsed.get_backend_name() == "sqlite"
    return _file_url(parsed, shown=_without_secrets(url)) if is_file else _server_url(parsed)


def _path_url(path: str) -> URL:
    if path == ":memory:" or path.startswith("file:"):
        raise _memory_error(path) if "memory" in path else _uri_error(path)
    return URL.create("sqlite", database=expanded(path))


def _file_url(url: URL, *, shown: str) -> URL:
    path = url.database or ""
    if url.host or url.username or url.port:
        meant = "/".join(part for part in (url.host, path) if part)
        raise StoreError(f"{shown} names a host, which a file has not: write sqlite:///{meant}, with three slashes")
    if path in ("", ":memory:") or url.query.get("mode") == "memory" or path.startswith("file::memory:"):
        raise _memory_error(shown)
    if path.startswith("file:"):
        raise _uri_error(shown)
    if url.query:
        raise StoreError(
            f"{shown} has options, of which SQLite's URL takes none: write sqlite:///{path}; "
            "a file with a question mark in its name is passed as a path"
        )
    return url.set(database=expanded(path))


def _server_url(url: URL) -> URL:
    if not url.database and not {"dbname", "service"} & set(url.query):
        # The driver would take the user's name for the database's.
        raise StoreError(f"{place(url)} names no database: write it as in postgresql://user@host/name")
    return url.set(drivername="postgresql+psycopg")  # SQLAlchemy's default driver depends on its release


def _memory_error(url: str) -> StoreError:
    return StoreError(f"{url} is in memory, and gone with the process that measures: pass --db with a path")


def _uri_error(url: str) -> StoreError:
    return StoreError(f"{url} is SQLite's own kind of URI: pass --db with the path alone (./file:x is a file's name)")


def _folder_error(path: Path) -> StoreError:
    return StoreError(f"{path} is a folder: pass --db with a file, such as {path / 'bench.db'}")


def _without_secrets(url: str) -> str:
    """A malformed URL without the parts that may be secret."""
    url = re.sub(r"(://[^/:@]*):.*@", r"\1@", url)
    return re.sub(r"([?&][^=&]*)=[^&]*", rf"\1={_HIDDEN}", url)


def _check_file(path: Path, *, create: bool) -> None:
    try:
        if path.is_symlink() and not Path(os.path.realpath(path)).parent.is_dir():
            raise StoreError(f"{path} is a link to {path.readlink()}, which is not there: make or mount its folder")
        if create and not path.exists():
            _make(Path(os.path.realpath(path)))
        _check_kind(path)
        _check_header(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not create:
            raise MissingDatabaseError(f"no database at {path}: run `nodebench run` first or pass --db") from error
        raise StoreError(f"{path} cannot be opened ({error.strerror}): pass --db with another path") from error


def _make(path: Path) -> None:
    """Make an empty file. SQLite never makes one for us: a file that somebody removed must not come back empty."""
    if len(os.fsencode(path)) > _LONGEST:
        raise StoreError(f"{path} is longer than the {_LONGEST} bytes that SQLite takes: pass a shorter path")
    path.parent.mkdir(parents=True, exist_ok=True)
    # They may be left of a file that was removed while a run wrote into it: the new one must not use them.
    for suffix in (*LOGS, "-journal"):
        beside(path, suffix).unlink(missing_ok=True)
    path.touch()


def _check_kind(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise _folder_error(path)
    for is_kind, kind in _KINDS.items():
        if is_kind(mode):  # opening a pipe would wait until somebody writes to it
            raise StoreError(f"{path} is a {kind}, not a file: pass --db with another path")


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(16)
    if header not in (b"", b"SQLite format 3\0"):
        raise StoreError(f"{path} is not an SQLite database: pass --db with another path")
