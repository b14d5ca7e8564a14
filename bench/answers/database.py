"""The answers of the verbs of `nodebench db`, without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.answers.columns import columns
from bench.answers.health import RUN_COLUMNS, run_row
from bench.answers.notices import notify
from bench.answers.reading import chosen, code_that_counts, explained, opened
from bench.answers.stdout import binary_stdout
from bench.failure import UsageError
from results.format import count as grouped
from results.format import date, plural, size
from results.names import nearest
from results.read import lookup
from results.records import TRIAL_STATUSES
from results.schema import summary
from results.tools import annotations, baselines
from results.tools.backup import back_up_at
from results.tools.export import export, stream
from results.tools.inventory import Inventory, inventory
from results.tools.merge import OnConflict, merge
from results.tools.prune import forget, kept_by_baselines, prune, vacuum
from results.tools.pytest_benchmark import read, take_in

_SHOWN = 10  # rows of a merge that are named one by one


def print_stats(url: str) -> None:
    """Print what is in the database."""
    with opened(url) as store:
        print("\n".join(_stats(inventory(store))))


def merge_from(other_url: str, url: str, *, on_conflict: OnConflict) -> None:
    """Merge another database into this one, and print which rows came in."""
    with opened(other_url, as_it_is=True) as other, opened(url, create=True) as store:
        merged = merge(store, other, on_conflict=on_conflict)
        print(f"from {other.database.place}: {_counted(merged.rows) or 'nothing that was not here'}")
        if merged.ended:
            print(f"{plural(merged.ended, 'run')} known as running had ended there")
        for rows, what in ((merged.kept, "ours stays"), (merged.replaced, "theirs is newer, and was taken")):
            for row in rows[:_SHOWN]:
                print(f"{row} differs there: {what}")
            if len(rows) > _SHOWN:
                print(f"... and {plural(len(rows) - _SHOWN, 'row')} more: {what}")


def export_to(file: Path, form: str | None, frame: str, only: Sequence[str], runs: Sequence[str], url: str) -> None:
    """Export the rows to a file and print their number; or export them to stdout (`-`) and print nothing else there."""
    to_stdout = file == Path("-")
    if form and not to_stdout:
        raise UsageError(f"--format {form} is for stdout, which is called -: the suffix of {file} says its format")
    with opened(url) as store:
        with store.database.reading() as connection:
            run_ids = [lookup.run_id(connection, start) for start in runs] or None
        where = replace(chosen(store, only), run_id=run_ids, prefer=code_that_counts(store))
        if to_stdout:
            with binary_stdout() as out:
                stream(store, out, form=form or "csv", frame=frame, where=where)
        else:
            print(f"{file}: {plural(export(store, file, frame=frame, where=where), 'row')} of {frame}")


def import_from(file: Path, url: str) -> None:
    """Import the trials of a file, and print how many were new."""
    with explained():
        content = read(file)
    with opened(url, create=True) as store:
        imported = take_in(store, content)
        known = f", {imported.known} were here already" if imported.known else ""
        print(f"run {imported.run_id}: {plural(imported.trials, 'trial')} imported{known}")


def prune_database(older_than_days: float, dry_run: bool, url: str) -> None:
    """Remove superseded and interrupted trials and what only they refer to, and print how many rows of which table."""
    with opened(url, write=True) as store:
        gone = prune(store, older_than_days=older_than_days, dry_run=dry_run, prefer=code_that_counts(store))
        removed = _counted(gone) or "nothing"
        print(f"{'would remove' if dry_run else 'removed'}: {removed}", flush=True)
        if not dry_run:
            vacuum(store)


def forget_in(
    url: str, *, only: Sequence[str], runs: Sequence[str], environment: str, statuses: Sequence[str], dry_run: bool
) -> None:
    """Remove the trials that meet all of the conditions; print how many were removed and how many a baseline keeps."""
    if not (only or runs or environment or statuses):
        raise UsageError("forget what? pass --only, --run, --environment or --status (--dry-run tells what would go)")
    if wrong := next((status for status in statuses if status not in TRIAL_STATUSES), None):
        raise UsageError(f"no trial ends as {wrong!r}{nearest(wrong, TRIAL_STATUSES)}")
    with opened(url, write=True) as store:
        with store.database.reading() as connection:
            run_ids = [lookup.run_id(connection, start) for start in runs] or None
            place = lookup.environment(connection, environment) if environment else None
        where = replace(chosen(store, only), run_id=run_ids, fingerprint=place, status=list(statuses) or None)
        kept = kept_by_baselines(store, where)
        gone = _counted(forget(store, where, dry_run=dry_run)) or "nothing"
        print(f"{'would remove' if dry_run else 'removed'}: {gone}", flush=True)
        if kept:
            print(f"{plural(kept, 'trial')} stay: baselines name them (nodebench db baseline NAME --remove)")
        if not dry_run:
            vacuum(store)


def rebuild_summary(url: str) -> None:
    """Rebuild the table `summary`, and print its number of rows."""
    with opened(url, write=True) as store, store.database.writing() as connection:
        print(f"summary: {plural(summary.rebuild(connection), 'row')} rebuilt")


def keep_baseline(name: str, run: str | None, note: str, replace: bool, url: str) -> None:
    """Save the newest trials as a baseline with this name."""
    with opened(url, write=True) as store:
        count = baselines.keep(store, name, note=note, run_start=run, replace=replace, prefer=code_that_counts(store))
        print(f"baseline {name!r}: {plural(count, 'trial')}")


def remove_baseline(name: str, url: str) -> None:
    """Remove a baseline, but none of its trials."""
    with opened(url, write=True) as store:
        baselines.remove(store, name)
        print(f"baseline {name!r} removed; its trials stay until they are pruned")


def print_baselines(url: str) -> None:
    """Print a line for each baseline."""
    with opened(url) as store:
        rows = [
            (row.name, date(row.created_at), str(row.trials), str(row.cells), str(row.runs), row.note)
            for row in baselines.listed(store).itertuples(index=False)
        ]
        print(columns(rows, ("name", "made", "trials", "cells", "runs", "note")) if rows else "no baselines")


def annotate_key(key: str, text: str, url: str) -> None:
    """Add a note to the run or the cell with this key."""
    with opened(url, write=True) as store:
        print(f"noted on {annotations.annotate(store, key, text)}")


def back_up_to(file: Path | None, url: str) -> None:
    """Copy the database, and print the path of the copy."""
    with explained():
        path, notices = back_up_at(url, file)
    print(f"backup: {path}")
    notify(*notices)


def upgrade_database(url: str) -> None:
    """Upgrade the database's schema, and print the old and the new version."""
    from results.opening.ready import upgrade_at  # Alembic takes a while to load

    with explained():
        print(upgrade_at(url))


def _stats(found: Inventory) -> Iterator[str]:
    empty = f", {size(found.free_bytes)} of it free" if found.free_bytes else ""
    yield f"{found.place}: {found.engine}, schema version {found.version}, {size(found.size_bytes)}{empty}\n"
    measured = "none"
    if found.oldest_trial is not None and found.newest_trial is not None:
        measured = f"{date(found.oldest_trial)} to {date(found.newest_trial)}"
    census = (
        ("runs", _census(found.runs)),
        ("trials", _census(found.trials)),
        ("measured", measured),
        ("baselines", ", ".join(found.baselines) or "none"),
        *([("spooled", f"{plural(found.spooled, 'trial')} to be taken in")] if found.spooled else []),
    )
    yield columns(census)
    yield "\n" + columns(
        [(name, f"{grouped(count):>12}") for name, count in found.rows.items() if count], ("table", f"{'rows':>12}")
    )
    if found.environments:
        yield "\n" + columns(_environments(found), ("environment", "machine and software"))
    if found.newest_runs:
        yield "\n" + columns(map(run_row, found.newest_runs), ("newest runs", *RUN_COLUMNS))


def _environments(found: Inventory) -> Iterator[tuple[str, str]]:
    for fingerprint, facts in found.environments.items():
        yield fingerprint, ", ".join(f"{name} {value}" for name, value in facts.items())


def _census(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(count)} {word}" for word, count in counts.items()) or "none"


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(plural(count, _NOUNS.get(table, table)) for table, count in rows.items())


_NOUNS = {"noise_floor": "noise floor", "planned": "planned cell"}  # of tables whose name is no plain noun
