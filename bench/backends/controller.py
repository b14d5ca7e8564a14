"""The controller of a cell: fixed steps where it has dt, else step size control by its tolerances and options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.options import Option, chosen_of
from results.records import Cell

if TYPE_CHECKING:
    from node import FixedStep, PIDController

_FIELDS = {
    "safety": "share of the step size that the error estimate would allow",
    "factor_min": "least factor by which a step size changes",
    "factor_max": "largest factor by which a step size changes",
    "first_step": "size of the first step; null for Hairer's choice",
    "min_step": "a step as small as this is taken whatever its error",
}


def controller_options() -> tuple[Option, ...]:
    """The options of step size control, which every adaptive solver has."""
    from node import COEFFICIENTS, PIDController

    plain = PIDController(rtol=1.0, atol=1.0)
    filters = {numbers: name for name, numbers in COEFFICIENTS.items()}
    coefficients = Option(
        "solver.coefficients",
        "str",
        filters[plain.coefficients],
        "Soderlind's filter that sizes the next step",
        tuple(COEFFICIENTS),
    )
    return coefficients, *(
        Option(f"solver.{name}", "float", getattr(plain, name), meaning) for name, meaning in _FIELDS.items()
    )


def controller_of(cell: Cell) -> FixedStep | PIDController:
    """The cell's controller; a ValueError where it has neither dt nor tolerances."""
    from node import COEFFICIENTS, FixedStep, PIDController

    if cell.dt is not None:
        return FixedStep(dt=cell.dt)
    if cell.rtol is None or cell.atol is None:
        raise ValueError(f"cell {cell.key} has neither dt nor rtol and atol")
    chosen: dict[str, Any] = {name: value for name, value in chosen_of(cell, "solver").items() if name in _FIELDS}
    coefficients = chosen_of(cell, "solver").get("coefficients")
    if isinstance(coefficients, str):
        chosen["coefficients"] = COEFFICIENTS[coefficients]
    return replace(PIDController(rtol=cell.rtol, atol=cell.atol), **chosen)


def controller_code(cell: Cell) -> str:
    """The text that makes the cell's controller, after `import node`."""
    if cell.dt is not None:
        return f"node.FixedStep(dt={cell.dt!r})"
    chosen = {name: repr(value) for name, value in chosen_of(cell, "solver").items() if name in _FIELDS}
    if "coefficients" in chosen_of(cell, "solver"):
        chosen["coefficients"] = f"node.COEFFICIENTS[{chosen_of(cell, 'solver')['coefficients']!r}]"
    given = {"rtol": repr(cell.rtol), "atol": repr(cell.atol), **chosen}
    return f"node.PIDController({', '.join(f'{name}={value}' for name, value in given.items())})"


def of_controller(name: str) -> bool:
    """Whether an option with this name (without its namespace) belongs to step size control."""
    return name == "coefficients" or name in _FIELDS
