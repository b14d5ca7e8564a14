"""The measurements of a workload in its own process: seconds, calls, errors, bytes, and training."""
