"""BACKENDS: the one registry of libraries under measurement, name to value."""

from bench.backends.base import Backend
from bench.backends.node import NodeBackend
from bench.backends.torchdiffeq import TorchdiffeqBackend

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (NodeBackend(), TorchdiffeqBackend())}

__all__ = ["BACKENDS", "Backend"]
