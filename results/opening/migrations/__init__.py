"""The schema's history, for Alembic: one step a version."""
