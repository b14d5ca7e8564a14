"""The verbs of the command line, a file each. VERBS: the one registry of them."""

from bench.verbs.base import VERBS

__all__ = ["VERBS"]
