"""The machine that is measured on: its facts, what disturbs it, and which of its resources a worker may use."""
