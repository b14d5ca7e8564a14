"""The errors that `node` raises: all are NodeErrors, and each is also the built-in error that fits."""


class NodeError(Exception):
    """The root of all errors of this package."""


class CallError(NodeError, ValueError):
    """A wrong call: a value that an argument cannot have, or that a user's function may not return."""


class CallTypeError(NodeError, TypeError):
    """A wrong call: an argument of a wrong type, or a user's function that returns one."""


class GradientError(NodeError, RuntimeError):
    """A gradient that cannot be given, which is found out in the backward pass."""
