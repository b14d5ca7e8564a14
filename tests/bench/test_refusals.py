"""The answers of the option parser: one line with the nearest name, or the version."""

from importlib import metadata

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("runn", "unknown verb 'runn'. Did you mean 'run'? Known: run, plan,"),
        ("db expor", "db: unknown verb 'expor'. Did you mean 'export'? Known: stats,"),
        ("run --dbb x", "run: unknown option '--dbb'. Did you mean '--db'? Known:"),
        ("run -x smoke", "run: unknown option '-x'. Known:"),
        ("--bogus", "unknown option '--bogus'. Known: --version,"),
        ("run", "run: SWEEP is missing: A sweep that ships"),
        ("list", "list: WHAT is missing: What to list. Known: problems, solvers,"),
        ("list solver", "list: unknown WHAT 'solver'. Did you mean 'solvers'? Known: problems,"),
        ("list planets", "list: unknown WHAT 'planets'. Known: problems,"),
        (
            "db export a.csv --frame metric",
            "db export: unknown --frame 'metric'. Did you mean 'metrics'? Known: summary,",
        ),
        ("noise --seconds abc", "noise: --seconds: 'abc' does not do: input should be a valid number"),
        ("noise --seconds 0", "noise: --seconds: '0' does not do: input should be greater than or equal to 1"),
        ("plan smoke twice", "plan: got unexpected extra argument(s) (twice): nodebench plan --help says"),
        ("db forget --run=", "db forget: --run is empty: give it a value, or leave it out"),
        ("report --db a --db=b", "report: --db is given 2 times: give it once"),
        ("run --db", "option '--db' requires an argument: nodebench --help lists the verbs"),
        ("db prune --dry-run=3", "option '--dry-run' does not take a value: nodebench --help lists the verbs"),
    ],
)
def test_a_refusal_of_the_parser_is_one_line_with_the_nearest_name(call, arguments, said):
    code, out, err = call(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"nodebench: {said}")
    assert err.count("\n") == 1


def test_the_version_is_printed(call):
    assert call("--version") == (0, f"nodebench {metadata.version('nodebench')}\n", "")
