"""Per-sample stepping: each sample of a batch has its own time, step size, acceptance, outputs and end."""

from node.per_sample.loop import integrate_samples

__all__ = ["integrate_samples"]
