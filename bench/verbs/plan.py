"""The verb plan, which prints what of a sweep is measured and what is still to do."""

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, SweepName, Use


@verb("nodebench plan default")
def plan(sweep: SweepName, only: Only = None, use: Use = None, db: Database = DEFAULT_DATABASE) -> None:
    """Print the cells of SWEEP and how much of each is measured."""
    from bench.answers.plan import print_plan

    print_plan(sweep, db, only=only or [], use=use or [])
