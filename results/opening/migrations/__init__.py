"""The history of the schema, for Alembic: a migration for each version."""
