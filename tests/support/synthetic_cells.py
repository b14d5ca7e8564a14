"""The cells of the four studies of the made-up measurement."""

from collections.abc import Iterator
from itertools import product

from results.records import Cell, Planned

ORDERS = {
    "euler": 1, "midpoint": 2, "heun": 2, "bosh3": 3, "rk4": 4, "rk4_38": 4, "dopri5": 5, "tsit5": 5, "dopri8": 8,
}  # fmt: skip
TORCHDIFFEQ_FIXED = ("euler", "midpoint", "rk4")
TORCHDIFFEQ_ADAPTIVE = ("bosh3", "dopri5", "dopri8")
TOLERANCES = ((1e-3, 1e-5), (1e-5, 1e-7), (1e-7, 1e-9), (1e-9, 1e-11))
BACKENDS = ("node", "torchdiffeq")
DEVICES = ("cpu", "cuda")
SEEDS = (0, 1, 2)
OTHER_SOLVERS = "euler dt=0.025; dopri5 rtol=1e-06 atol=1e-08"


def solvers_cells() -> Iterator[Cell]:
    for problem, backend, solver, dt, device in product(
        ("cosine", "exp_sin"), BACKENDS, ORDERS, (0.5, 0.25, 0.125, 0.0625, 0.03125), DEVICES
    ):
        yield Cell(
            problem=problem, backend=backend, solver=solver, dt=dt, device=device,
            horizon=6.25, n_outputs=2, dtype="float64",
        )  # fmt: skip


def spiral_cells() -> Iterator[Cell]:
    steps: list[dict[str, str | float]] = [
        {"solver": "euler", "dt": 0.05},
        {"solver": "rk4", "dt": 0.05},
        {"solver": "dopri5", "rtol": 1e-5, "atol": 1e-7},
        {"solver": "bosh3", "rtol": 1e-5, "atol": 1e-7},
    ]

    def trained(step: dict[str, str | float], backend: str, gradient: str, **how: str | float) -> Cell:
        return Cell(
            problem="spiral_net", backend=backend, gradient=gradient,
            horizon=25.0, n_outputs=100, iterations=200, evaluate=OTHER_SOLVERS, **step, **how,
        )  # fmt: skip

    for step, backend, gradient in product(steps, BACKENDS, ("backprop", "adjoint")):
        yield trained(step, backend, gradient, device="cuda")
        for seed in SEEDS:
            yield trained(step, backend, gradient, seed=seed)
    for step, seed in product(steps, SEEDS):
        yield trained(step, "node", "backprop", optimiser="Adam", learning_rate=0.01, seed=seed)


def adaptive_cells() -> Iterator[Cell]:
    for problem, backend, solver, (rtol, atol), device in product(
        ("spiral", "lotka_volterra"), BACKENDS, ("bosh3", "dopri5", "tsit5", "dopri8"), TOLERANCES, DEVICES
    ):
        yield Cell(
            problem=problem, backend=backend, solver=solver, rtol=rtol, atol=atol, device=device,
            horizon=10.0, n_outputs=2, dtype="float64",
        )  # fmt: skip


def adjoint_cells() -> Iterator[Cell]:
    for backend, gradient, (rtol, atol), n_outputs, horizon, device in product(
        BACKENDS, ("backprop", "adjoint"), TOLERANCES[:3], (2, 11, 101), (1.5, 5.0, 10.0), DEVICES
    ):
        yield Cell(
            problem="spiral", backend=backend, solver="dopri5", gradient=gradient, rtol=rtol, atol=atol,
            n_outputs=n_outputs, horizon=horizon, device=device, dtype="float64",
        )  # fmt: skip


STUDIES = {
    "solvers": solvers_cells,
    "spiral": spiral_cells,
    "adaptive": adaptive_cells,
    "adjoint": adjoint_cells,
}


def plan() -> list[Planned]:
    return [Planned(study, cell) for study, cells in STUDIES.items() for cell in cells()]
