"""The upgrade of an older database to the newest schema, by Alembic, in one transaction and after a backup."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, delete, false, insert, inspect, text

from results.engine.database import Database
from results.engine.location import StoreError
from results.opening import migrations, server_rights
from results.opening.copying import back_up
from results.schema import summary, views
from results.schema import versions as schema
from results.schema.tables import SCHEMA_VERSION, nodebench


def upgrade(database: Database, version: str) -> None:
    """Upgrade the database from this version, after a backup, unless another process was faster; add a notice."""
    with database.changing_schema() as connection:
        if schema.version(connection) != version:
            return
        connection.execute(delete(nodebench).where(false()))  # refused at once where nothing can be written
        server_rights.demand_ownership(database, connection)
        backup = back_up(database)
        _upgrade(connection, version)
    database.notices.append(
        f"{database.place} was upgraded from schema version {int(version)} to {int(SCHEMA_VERSION)}; before: {backup}"
    )


def upgrade_copy(database: Database, version: str) -> None:
    """Upgrade a copy of the database, which needs no backup."""
    with database.changing_schema() as connection:
        _upgrade(connection, version)
    database.notices.append(
        f"{database.place} has schema version {int(version)} and stays as it is: "
        f"a temporary copy of it, upgraded to {int(SCHEMA_VERSION)}, is read"
    )


def _upgrade(connection: Connection, version: str) -> None:
    in_file = connection.dialect.name == "sqlite"
    with server_rights.kept(connection):
        views.drop(connection)
        if in_file:  # users' views of a table keep its name, also while the table has another
            connection.execute(text("pragma legacy_alter_table = on"))
        step_up(connection, version)
        summary.remake(connection)
        if in_file:
            connection.execute(text("pragma legacy_alter_table = off"))


def step_up(connection: Connection, version: str | None, to: str = SCHEMA_VERSION) -> None:
    """Run the migrations after this version; None stands for an empty database."""
    if version == "0001":
        _adopt(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise StoreError(f"the schema cannot be upgraded from version {version} ({error}): update nodebench") from error


def _adopt(connection: Connection) -> None:
    """Turn the table in which version 1 kept its number into Alembic's table of the same name.

    Version 1 of a server has Alembic's table already. It must not be recreated there: a transaction that began before
    would see the new table as empty.
    """
    if "version_num" in {column["name"] for column in inspect(connection).get_columns(nodebench.name)}:
        return
    nodebench.drop(connection)
    connection.execute(text(f"create table {nodebench.name} (version_num varchar(32) not null primary key)"))
    connection.execute(insert(nodebench).values(version_num="0001"))
