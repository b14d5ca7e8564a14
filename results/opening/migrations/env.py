"""The script that Alembic runs: the migrations, in the transaction that `results.opening.migration` passes."""

from alembic import context

from results.schema.tables import nodebench

context.configure(
    connection=context.config.attributes["connection"],
    version_table=nodebench.name,
)
with context.begin_transaction():
    context.run_migrations()
