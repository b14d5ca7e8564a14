"""The answers of the verbs about a user's own files: new writes a template, check checks a file."""

from pathlib import Path


def write_new(kind: str, name: str, output: Path | None) -> None:
    """Write a template, and print what to do with it."""
    from bench.own.new import write

    path = output or Path(f"{name}.py")
    write(kind, name, path)
    print(f"{path}: a {kind} to start from")
    print(f"  nodebench check {path}")
    axis = {"problem": f'problem = "{name}"', "backend": f'backend = "{name}"', "solver": f'solver = "{name}"'}[kind]
    print(f'  in a sweep beside it: use = ["{path.name}"] at the top, and {axis} in a [[grid]]')


def check_file(given: str) -> int:
    """Print a line for each property of a user's file that was checked; the exit code, 1 if one does not hold."""
    from bench.extensions import load, provided_from, resolved
    from bench.own.check import findings

    (where,) = resolved([given], Path())
    load([where])
    failed = 0
    for kind, name in provided_from(where):
        for finding in findings(kind, name):
            print(finding, flush=True)
            failed += finding.failed
    print(f"{given}: {'all of it holds' if not failed else f'{failed} of these do not hold'}")
    return 1 if failed else 0
