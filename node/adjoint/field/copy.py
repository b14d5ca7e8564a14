"""A copy of a vector field for the backward pass: its objects are copied, its tensors are shared."""

import dataclasses
import functools
import operator
import types
import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from node.adjoint.field.edge import Edge, edge_of
from node.torch_private import BUFFERS, CHILDREN, OF_MODULES, PARAMETERS, is_compiled, keeps_running_statistics

# Types with immutable values, which need no copy.
_ATOMS = frozenset({bool, int, float, complex, str, type(None)})


class FieldCopy:
    """A copy of f as it is now, to be called later, when the user may have changed or released f.

    Modules, callable objects and functions with closures are copied, and the lists and dictionaries that they hold. So
    a parameter that is replaced, a float that is annealed or a batch that is swapped does not change the copy. And the
    graph of a solve may hold the copy: if it held f, a module that stores its own solution would be a reference cycle,
    which Python's garbage collector would not find, as it does not see the nodes of a graph. A tensor with a graph on
    which f does not depend, such as a stored solution, is replaced by a clone without that graph.

    A tensor that was computed outside of f, and on which f depends, is replaced by a leaf: the gradient to the leaf is
    that of f alone, and autograd passes it on through the graph outside exactly once.

    When a call writes to attributes of the copy, such as a count of evaluations, the original's are written too.
    """

    def __init__(self, f: Any, depends_on: Collection[Tensor] | None = None) -> None:
        """Copy f; depends_on: the tensors that f depends on, None if no tensor is to be replaced."""
        self.tensors: list[Tensor] = []  # buffers, and tensors in attributes and closures; no module parameters
        self._leaves = None if depends_on is None else _leaves_for(depends_on)
        self.replaced: set[Edge] = set()  # of the tensors with a graph that leaves replace
        self.n_unrelated = 0  # the number of tensors with a graph that f holds and does not depend on
        self._copies: dict[int, tuple[Any, Any]] = {}  # by id: the original, held so that its id stays, and its copy
        self._objects: list[_CopiedObject] = []
        self._globals: list[Any] = []  # the values that its functions may read by global names
        self.f = self._copied(f, is_called=True)
        self._copies = {}

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of the copied modules."""
        for copied in self._objects:
            yield from copied.parameters()

    def readable(self) -> Iterator[Tensor]:
        """All tensors that f may read: in its modules, attributes and closures, and by global names."""
        yield from self.parameters()
        yield from self.tensors
        for x in self._globals:
            if isinstance(x, nn.Module):
                yield from x.parameters()
            elif isinstance(x, Tensor):
                yield x

    def replacements(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """For each tensor that f depends on the leaf that replaces it in the copy, or itself if none does."""
        leaves = self._leaves or {}
        return [leaves[edge_of(x)] if edge_of(x) in self.replaced else x for x in tensors]

    def not_replaced(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """The tensors among these that have a graph and that no leaf replaces in the copy."""
        return [x for x in tensors if x.grad_fn is not None and edge_of(x) not in self.replaced]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A context in which a backward pass calls the copy; running statistics keep the forward pass's values."""
        for copied in self._objects:
            copied.begin()
        try:
            yield
        finally:
            for copied in self._objects:
                copied.end()

    def protect(self, buffers: Collection[Tensor]) -> None:
        """Protect buffers that a call of f writes to, so that they are unchanged after the copy was in use."""
        ids = set(map(id, buffers))
        for copied in self._objects:
            copied.protect(ids)

    def _copied(self, x: Any, *, is_called: bool = False) -> Any:
        """A copy of x, or x itself if it needs none or cannot be copied. is_called: whether f may call x."""
        if id(x) in self._copies:
            return self._copies[id(x)][1]
        if isinstance(x, nn.Module):
            return self._copied_object(x) if _can_be_copied(x) else x
        if isinstance(x, Tensor):
            return self._copied_tensor(x)
        if isinstance(x, types.FunctionType):
            return self._copied_function(x)
        if isinstance(x, types.MethodType):
            return types.MethodType(x.__func__, self._copied(x.__self__, is_called=True))
        if type(x) is functools.partial:
            function = self._copied(x.func, is_called=True)
            return functools.partial(function, *self._copied(x.args), **self._copied(x.keywords))
        if _is_data(x):
            return x
        if isinstance(x, tuple):
            items = [self._copied(item) for item in x]
            return x._make(items) if hasattr(x, "_make") else tuple(items)
        if type(x) is list:
            return self._remember(x, [self._copied(item) for item in x])
        if type(x) is dict:
            return self._remember(x, {key: self._copied(item) for key, item in x.items()})
        if _is_plain(x) and (is_called or callable(x) or dataclasses.is_dataclass(x)):
            return self._copied_object(x)
        return x

    def _remember(self, x: Any, copy: Any) -> Any:
        self._copies[id(x)] = x, copy
        return copy

    def _copied_tensor(self, x: Tensor) -> Tensor:
        if x.grad_fn is not None and self._leaves is not None:
            return self._leaf_for(x)
        self.tensors.append(x)
        return x

    def _leaf_for(self, x: Tensor) -> Tensor:
        """The leaf that replaces a tensor that f depends on; for other tensors a clone without the outer graph."""
        edge = edge_of(x)
        if self._leaves is None or edge not in self._leaves:
            self.n_unrelated += 1
            with torch.enable_grad():
                return x.detach().requires_grad_().clone()  # not a leaf, so that f may write to it in place
        self.replaced.add(edge)
        return self._leaves[edge]

    def _copied_object(self, x: Any) -> Any:
        copy = self._remember(x, object.__new__(type(x)))
        state = copy.__dict__
        state.update(x.__dict__)
        of_torch: Collection[str] = ()
        if isinstance(x, nn.Module):
            of_torch = OF_MODULES
            state[PARAMETERS], buffers, children = (
                state[PARAMETERS].copy(),
                state[BUFFERS],
                state[CHILDREN],
            )
            for name, parameter in state[PARAMETERS].items():
                if parameter is not None and parameter.grad_fn is not None:
                    state[PARAMETERS][name] = self._copied_tensor(parameter)
            if buffers:
                state[BUFFERS] = buffers.copy()
                self.tensors += [buffer for buffer in buffers.values() if buffer is not None]
            if children:
                state[CHILDREN] = {name: self._copied(child) for name, child in children.items()}
        own = {name: value for name, value in x.__dict__.items() if name not in of_torch}
        for name, value in own.items():
            if type(value) not in _ATOMS:
                own[name] = state[name] = self._copied(value)
        self._objects.append(_CopiedObject(x, copy, own))
        return copy

    def _copied_function(self, x: types.FunctionType) -> Any:
        """The function with copies of its closure's contents and of its defaults.

        Numbers, and lists of numbers, are not copied: the function reads and writes the user's.
        """
        self._remember(x, x)  # a function that refers to itself refers to the original
        self._globals += [x.__globals__[name] for name in x.__code__.co_names if name in x.__globals__]
        cells = []
        for cell in x.__closure__ or ():
            content = _content(cell)
            copy = self._copied_if_needed(content, is_called=True)
            cells.append(cell if copy is content else types.CellType(copy))
        defaults = [self._copied_if_needed(default) for default in x.__defaults__ or ()]
        by_name = {name: self._copied_if_needed(default) for name, default in (x.__kwdefaults__ or {}).items()}
        new = (*cells, *defaults, *by_name.values())
        old = (*(x.__closure__ or ()), *(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values())
        if all(map(operator.is_, new, old)):
            return x
        copy = types.FunctionType(x.__code__, x.__globals__, x.__name__, tuple(defaults) or None, tuple(cells))
        copy.__kwdefaults__ = by_name or None
        return self._remember(x, copy)

    def _copied_if_needed(self, x: Any, *, is_called: bool = False) -> Any:
        return _original_where_uncopied(x, self._copied(x, is_called=is_called))


def _leaves_for(tensors: Iterable[Tensor]) -> dict[Edge, Tensor]:
    return {edge_of(x): x.detach().requires_grad_() for x in tensors if x.grad_fn is not None}


class _CopiedObject:
    """An original object and its copy, which is prepared before a backward pass and cleaned up after it."""

    def __init__(self, original: Any, copy: Any, own: dict[str, Any]) -> None:
        self._original = weakref.ref(original)
        self._copy = copy
        self._own = own  # the attributes of the copy as it was made
        self._size = len(copy.__dict__)
        self._lists = {name: len(value) for name, value in own.items() if type(value) is list}
        self._buffers: dict[str, Tensor | None] = copy.__dict__.get(BUFFERS, {})
        self._writes_buffers = keeps_running_statistics(copy)

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of the copy itself, without its children's; none if it is no module."""
        return (x for x in self._copy.__dict__.get(PARAMETERS, {}).values() if x is not None)

    def protect(self, buffers: Collection[int]) -> None:
        """Protect the copy's buffers if one of the given ids is among them."""
        self._writes_buffers |= any(id(buffer) in buffers for buffer in self._buffers.values())

    def begin(self) -> None:
        """Replace buffers that a call writes to by clones, so that running statistics are written there."""
        if self._writes_buffers:
            spare = {name: None if buffer is None else buffer.clone() for name, buffer in self._buffers.items()}
            self._copy.__dict__[BUFFERS] = spare

    def end(self) -> None:
        """Move to the original what calls have written to the copy, and reset the copy."""
        state = self._copy.__dict__
        if self._writes_buffers:
            state[BUFFERS] = self._buffers
        changed = [name for name, value in self._own.items() if state.get(name) is not value]
        if len(state) > self._size:
            changed += [name for name in state if name not in self._own and name not in OF_MODULES]
        for name in changed:
            self._write(name, state.pop(name, None))
        for name, length in self._lists.items():
            added = self._own[name][length:]
            del self._own[name][length:]
            if added and (original := self._original()) is not None and isinstance(vars(original).get(name), list):
                vars(original)[name] += added
        state.update(self._own)

    def _write(self, name: str, new: Any) -> None:
        """Write an attribute to the original: for a number its increase, as the user may have set another value.

        Tensors that require grad are not written.
        """
        original, old = self._original(), self._own.get(name)
        if original is None or (isinstance(new, Tensor) and new.requires_grad):
            return
        counts = all(type(x) in (int, float) for x in (old, new, vars(original).get(name)))
        vars(original)[name] = vars(original)[name] + (new - old) if counts else new


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is empty
        return None


def _original_where_uncopied(x: Any, copy: Any) -> Any:
    """The copy of x, with the user's own list, tuple or dictionary in place of each that contains no copied object."""
    if type(x) in (list, tuple):
        items = type(x)(map(_original_where_uncopied, x, copy))
        return x if all(map(operator.is_, items, x)) else items
    if type(x) is dict:
        values = {key: _original_where_uncopied(x[key], copy[key]) for key in x}
        return x if all(values[key] is x[key] for key in x) else values
    return copy


def _is_plain(x: Any) -> bool:
    """Whether x is an object of a class written in Python whose whole state is its attributes."""
    kind: Any = type(x)
    is_object = hasattr(x, "__dict__") and not isinstance(x, type | types.ModuleType | types.BuiltinFunctionType)
    new: object = kind.__new__
    return is_object and new is object.__new__ and kind.__weakrefoffset__ != 0 and _can_be_copied(x)


def _can_be_copied(x: object) -> bool:
    """Whether a second object with the same attributes is safe."""
    kind: type = type(x)
    return _keeps_nothing_else(kind)


@functools.lru_cache(maxsize=256)
def _keeps_nothing_else(kind: type) -> bool:
    """Whether objects of a class keep their state in `__dict__` alone: no slots, no `__del__`, not compiled."""
    slots = any(getattr(base, "__slots__", ()) for base in kind.__mro__)
    compiled = issubclass(kind, ScriptModule) or is_compiled(kind)
    return not (slots or compiled or hasattr(kind, "__del__"))


def _is_data(x: Any) -> bool:
    """Whether x is a long list, tuple or dictionary of numbers or strings, judged by its first value."""
    if not isinstance(x, list | tuple | dict) or len(x) <= 100:
        return False
    first = next(iter(x.values() if isinstance(x, dict) else x))
    return type(first) in _ATOMS
