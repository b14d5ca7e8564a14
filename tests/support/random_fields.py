"""Random vector fields as users write them: their layers, and the tensors that reach them from outside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

N = 4  # entries of a state
STATES = ("vector", "batch", "tuple", "complex", "matrix")
FIXED_LAYERS = ("tanh", "sin", "softplus")
LAYERS = ("linear", "time", *FIXED_LAYERS, "residual", "norm", "batchnorm", "dropout")
# Ways in which tensors reach f, beside the parameters of its layers.
TIES = ("none", "a submodule twice", "a parameter twice", "weights of two shapes")
BUFFERS = ("none", "plain", "replaced", "from a leaf", "index")
CONTEXTS = (
    "none",
    "a leaf",
    "from a parameter",
    "from an encoder",
    "in a list",
    "in a closure",
    "in a default",
    "late",
)
FORMS = ("module", "lambda", "function", "partial", "method", "in a list")
STARTS = ("constant", "leaf", "encoder", "in f", "encoder in f")
EVENTS = ("none", "of the state", "of time", "of two in different units")


@dataclass(frozen=True)
class Draw:
    """The structure of a random module and its loss; all numbers follow from the seed."""

    seed: int
    state: str
    layers: tuple[str, ...]
    tie: str
    buffer: str
    context: str
    form: str
    start: str
    outputs: int
    times_need_gradient: bool
    decreasing: bool
    event: str
    dense: bool
    parameters: str
    chain: int
    decoder: bool


draws = st.builds(
    Draw,
    seed=st.integers(0, 99),
    state=st.sampled_from(STATES),
    layers=st.lists(st.sampled_from(LAYERS), min_size=1, max_size=3).map(tuple),
    tie=st.sampled_from(TIES),
    buffer=st.sampled_from(BUFFERS),
    context=st.sampled_from(CONTEXTS),
    form=st.sampled_from(FORMS),
    start=st.sampled_from(STARTS),
    outputs=st.integers(2, 4),
    times_need_gradient=st.booleans(),
    decreasing=st.booleans(),
    event=st.sampled_from(EVENTS),
    dense=st.booleans(),
    parameters=st.sampled_from(("none", "all")),
    chain=st.integers(1, 3),
    decoder=st.booleans(),
)


class Time(nn.Module):
    """A linear layer of the state and the time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N + 1, N)

    def forward(self, t: Tensor, h: Tensor) -> Tensor:
        return self.linear(torch.cat((h, t.expand(*h.shape[:-1], 1)), dim=-1))


class Residual(nn.Module):
    """A residual layer: h + tanh(W h + b)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N, N)

    def forward(self, h: Tensor) -> Tensor:
        return h + torch.tanh(self.linear(h))


MAKE: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(N, N),
    "time": Time,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "residual": Residual,
    "norm": lambda: nn.LayerNorm(N),
    "batchnorm": lambda: nn.BatchNorm1d(N).eval(),
    "dropout": lambda: nn.Dropout(0.5).eval(),
    "sin": lambda: Sine(),
}


class Sine(nn.Module):
    def forward(self, h: Tensor) -> Tensor:
        return torch.sin(h)


class Field(nn.Module):
    """y' = tanh(layers(t, y)) - y / 4, with ties, a buffer and a context as drawn, for states of every kind."""

    def __init__(self, draw: Draw):
        super().__init__()
        self.draw = draw
        self.first = nn.Linear(N, N)
        self.layers = nn.ModuleList(MAKE[name]() for name in draw.layers)
        self.raw = nn.Parameter(torch.randn(N) / 4)  # the parameter from which a context is computed
        self.y0 = nn.Parameter(torch.randn(N) / 2)
        self.encoder = nn.Linear(N, N)
        self.tied = self.first if draw.tie == "a submodule twice" else None
        self.weight = self.first.weight if draw.tie == "a parameter twice" else None
        self.register_buffer("gain", 1 + torch.rand(N) / 4)
        self.register_buffer("order", torch.arange(N).flip(0))
        self.context: Any = None

    def forward(self, t: Tensor, state: Any) -> Any:
        h = joined(state)
        x = self.first(h)
        for name, layer in zip(self.draw.layers, self.layers, strict=True):
            x = self._through(name, layer, t, x)
        if self.tied is not None:
            x = self.tied(torch.tanh(x))
        if self.weight is not None:
            x = torch.tanh(x) @ self.weight
        if self.draw.tie == "weights of two shapes":
            x = x @ self.first.weight.flatten()[: N * N].view(N, N).T
        if self.draw.buffer in ("plain", "replaced", "from a leaf"):
            x = x * self.gain
        if self.draw.buffer == "index":
            x = x[..., self.order]
        if self.draw.context == "late":  # read in later calls only, smooth enough for the order of every solver
            x = x + 100 * self.context * (t.abs() - 0.2) ** 7 if t.abs() > 0.2 else x
        elif self.context is not None:
            x = x * (self.context[0] if isinstance(self.context, list) else self.context)
        return parted(torch.tanh(x) - h / 4, state)

    def _through(self, name: str, layer: nn.Module, t: Tensor, x: Tensor) -> Tensor:
        if name == "time":
            return layer(t, x)
        if name == "batchnorm":
            return layer(x.reshape(-1, N)).reshape(x.shape)
        return layer(x)

    def method(self, t: Tensor, state: Any) -> Any:
        return self(t, state)


def joined(state: Any) -> Tensor:
    """The entries of the state as real numbers, (..., N)."""
    if isinstance(state, tuple):
        return torch.cat([part.reshape(-1) for part in state])
    if state.is_complex():
        return torch.view_as_real(state).reshape(N)
    return state.reshape(N) if state.shape == (2, N // 2) else state


def parted(h: Tensor, like: Any) -> Any:
    """Real numbers (..., N) as a state like the given one."""
    if isinstance(like, tuple):
        return h[0], h[1:]
    if like.is_complex():
        return torch.view_as_complex(h.reshape(N // 2, 2).contiguous())
    return h.reshape(like.shape)


def state_like(kind: str) -> Any:
    """A state of this kind, all zeros."""
    return {
        "vector": torch.zeros(N),
        "batch": torch.zeros(3, N),
        "matrix": torch.zeros(2, N // 2),
        "tuple": (torch.zeros(()), torch.zeros(N - 1)),
        "complex": torch.zeros(N // 2, dtype=torch.complex128),
    }[kind]
