"""The machine that is measured on: what it is, what disturbs it, and what of it a worker may use."""
