"""Every error of `node` is a NodeError and the built-in error that fits."""

import ast
import builtins
from pathlib import Path

import pytest
import torch

import node
from node import FixedStep, NodeError, SolveError, solve
from node.errors import CallError, CallTypeError, GradientError
from node.registry import RegistryError, UnknownNameError

# Python expects the first of a module's `__getattr__`; the second means that a package is not installed.
ALLOWED = {"AttributeError", "ImportError"}


@pytest.mark.parametrize(
    ("error", "built_in"),
    [
        (CallError, ValueError),
        (CallTypeError, TypeError),
        (GradientError, RuntimeError),
        (RegistryError, ValueError),
        (SolveError, RuntimeError),
        (UnknownNameError, KeyError),
    ],
)
def test_each_error_is_a_node_error_and_a_built_in_one(error: type[Exception], built_in: type[Exception]) -> None:
    assert issubclass(error, NodeError)
    assert issubclass(error, built_in)


def test_node_raises_no_plain_built_in_error() -> None:
    for path in Path(node.__file__).parent.rglob("*.py"):
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call) and isinstance(part.exc.func, ast.Name):
                name = part.exc.func.id
                assert name in ALLOWED or not hasattr(builtins, name), f"{path}:{part.lineno}"


def test_a_wrong_value_is_a_call_error_and_a_wrong_type_a_call_type_error() -> None:
    how = {"solver": "euler", "controller": FixedStep(dt=0.1)}
    with pytest.raises(CallError):
        solve(lambda t, y: -y, torch.ones(2), torch.tensor([0.0, 0.0]), **how)
    with pytest.raises(CallTypeError):
        solve(lambda t, y: -y, [1.0, 2.0], torch.tensor([0.0, 1.0]), **how)
