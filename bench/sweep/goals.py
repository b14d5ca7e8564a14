"""The goals of a sweep: its table [goal]."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from results.records import Cell

_Stated = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Goals(BaseModel):
    """The value to be reached for each metric: the report compares the times to reach it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    error: _Stated | None = None
    gradient_error: _Stated | None = None
    loss: _Stated | None = None

    def pointless(self, cells: Iterable[Cell]) -> str:
        """The reason why no cell can reach one of the goals, whatever is measured; empty if there is none."""
        cells = list(cells)
        if self.loss is not None and not any(cell.iterations for cell in cells):
            return f"loss = {self.loss:g}: no cell of this sweep is trained: give iterations, or leave it out"
        if self.gradient_error is not None and all(cell.gradient == "none" for cell in cells):
            return f"gradient_error = {self.gradient_error:g}: no cell has a gradient: give one, or leave it out"
        return ""
