"""The recreation of the table `summary` where it has the columns of another program's metrics. Nothing is lost.

It is derived from the other tables; a metric that this program does not know stays in the table `metric`.
"""

from results.engine.database import Database
from results.opening import server_rights
from results.schema import summary, versions


def renew(database: Database) -> None:
    """Recreate `summary` with its views, in one transaction, unless another process was faster; add a notice."""
    with database.without_answer_limit(), database.changing_schema() as connection:
        if versions.summary_is_ours(connection):
            return
        server_rights.demand_ownership(database, connection)
        with server_rights.kept(connection):
            summary.remake(connection)
    database.notices.append(f"{database.place}: the table summary was made anew, with the metrics of this nodebench")


def renew_copy(database: Database) -> None:
    """Recreate `summary` in a copy of the database, which nobody else uses."""
    with database.changing_schema() as connection:
        summary.remake(connection)
    database.notices.append(
        f"{database.place} has a table summary of other metrics than this nodebench, and stays as it is: "
        "a temporary copy of it is read"
    )
