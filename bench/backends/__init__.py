"""BACKENDS: the one registry of libraries under measurement, name to value."""

from bench.backends.base import BACKENDS, Backend

BACKENDS.collect()

__all__ = ["BACKENDS", "Backend"]
