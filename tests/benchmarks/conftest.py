"""The table of ratios at the end of a run of the benchmarks."""

import pytest
from rich.console import Console
from rich.table import Table


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the medians of paired ratios: a row for each comparison, a column for each workload."""
    session = getattr(config, "_benchmarksession", None)
    measured = [b for b in session.benchmarks if "ratio" in b.extra_info] if session else []
    if not measured:
        return
    rows: dict[str, dict[str, float]] = {}
    for benchmark in measured:
        workload, what = benchmark.extra_info["workload"], benchmark.extra_info["what"]
        for peer, ratio in benchmark.extra_info["ratio"].items():
            rows.setdefault(f"{what}, against {peer}", {})[workload] = ratio
    workloads = list(dict.fromkeys(b.extra_info["workload"] for b in measured))
    table = Table("time of node, medians of paired ratios", *workloads)
    for what, ratios in rows.items():
        table.add_row(what, *(f"{ratios[w]:.2f}" if w in ratios else "" for w in workloads))
    Console(file=terminalreporter._tw._file, width=120).print(table)
