"""The errors that `node` raises: all are NodeErrors, and each is also a fitting built-in error."""


class NodeError(Exception):
    """The base class of all errors of this package."""


class CallError(NodeError, ValueError):
    """A wrong call: a value that an argument cannot have, or that a user's function may not return."""


class CallTypeError(NodeError, TypeError):
    """A wrong call: an argument of a wrong type, or a user's function that returns a wrong type."""


class GradientError(NodeError, RuntimeError):
    """A gradient that cannot be computed, as detected in the backward pass."""
