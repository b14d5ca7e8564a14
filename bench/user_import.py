"""The import of users' files: from the text that is hashed, and without an effect on what else is measured."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from typing_extensions import override

from bench.code_files import digest, imports_beside, in_standard_library, users_files


class _TextLoader(SourceFileLoader):
    """A loader that compiles the text itself: bytecode beside it may be of an older text of the same time and size."""

    @override
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _UserFinder(MetaPathFinder):
    """A finder of modules in the folders of users' files: while a file is imported the first one, later the last."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module in one of the folders, or in a package there."""
        within = [folder for folder in path or self.folders if self._is_users(folder)]
        specs = (FileFinder(folder, (_TextLoader, [".py"])).find_spec(fullname) for folder in within)
        return next((spec for spec in specs if spec is not None and spec.loader is not None), None)

    def _is_users(self, folder: str) -> bool:
        return any(Path(folder).is_relative_to(one) for one in self.folders)


_finder = _UserFinder()
_texts: dict[str, str] = {}  # module of a user's -> hash of its files when it was imported
_roots: dict[str, Path] = {}  # module that a user's file imports from beside it -> its file or folder


def check_names(path: Path, files: Iterable[Path]) -> None:
    """Raise an ImportError where a module beside a user's file cannot be told from another one of the same name.

    files: the user's file and the files of the user's that it imports.
    """
    for module, root, own in imports_beside(path, files):
        if in_standard_library(module):
            raise ImportError(f"it imports {module}, which is Python's own and a file beside it: rename the file")
        loaded = getattr(sys.modules.get(module), "__file__", None)
        for other in (_roots.get(module), Path(loaded) if loaded else None):
            if other is not None and not other.resolve().is_relative_to(root.resolve()):
                raise ImportError(f"it imports {module} from beside it, and {other} has that name too: rename one")
        _roots[module] = root
        _forget_edited(module, own)


def import_file(path: Path) -> None:
    """Execute a user's file as a module of its own, whose folder is searched first."""
    name = f"nodebench_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    loader = _TextLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise ImportError(f"{path} is no Python file")
    own = importlib.util.module_from_spec(spec)
    sys.modules[name] = own
    with _searched_first(path.parent):
        loader.exec_module(own)


def import_named(module: str) -> None:
    """Import a module that a user names, again if its package has been edited since."""
    top = module.partition(".")[0]
    files = users_files(top)
    folder = next((path for path in files[0].parents if (path / top).is_dir()), files[0].parent) if files else None
    if folder is None:
        importlib.reload(sys.modules[module]) if module in sys.modules else importlib.import_module(module)
        return
    _forget_edited(top, files)
    with _searched_first(folder):
        importlib.import_module(module)


def _forget_edited(module: str, files: Sequence[Path]) -> None:
    """Let a user's module be imported again if its files were edited since."""
    text = digest(files)
    if _texts.get(module, text) != text:
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{module}.")]:
            del sys.modules[name]
    _texts[module] = text


@contextmanager
def _searched_first(path: Path) -> Iterator[None]:
    """A body in which modules are found in this folder first; later they are found there last."""
    known, folder = _finder.folders, str(path)
    _finder.folders = [folder, *(one for one in known if one != folder)]
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    sys.meta_path.insert(0, _finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_finder)
        sys.meta_path.append(_finder)
        _finder.folders = [*(one for one in known if one != folder), folder]


class _Setting(NamedTuple):
    """A setting of the process on which measurements depend."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], object]


def _settings() -> list[_Setting]:
    import torch

    return [
        _Setting("the working folder", os.getcwd, os.chdir),
        _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("torch's default device", torch.get_default_device, torch.set_default_device),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting("whether torch computes gradients", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting(
            "torch's deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
        _Setting(
            "torch's precision of matrix products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
    ]


@contextmanager
def without_side_effects() -> Iterator[None]:
    """A body that imports a user's code; a RuntimeError if it changes settings of the process, which are put back."""
    settings = _settings()
    before = [setting.get() for setting in settings]
    changed = []
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            if setting.get() != value:
                setting.set(value)
                changed.append(setting.name)
    if changed:
        raise RuntimeError(
            f"importing it changes {', '.join(changed)}, for all cells of a sweep: set it where the problem is made"
        )
