"""Per-sample stepping: each sample of a batch has its own time, step sizes, acceptance, outputs and end."""

from node.per_sample.integrate import integrate_samples

__all__ = ["integrate_samples"]
