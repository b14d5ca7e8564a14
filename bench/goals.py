"""What a sweep wants to reach: its table [goal]."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Stated = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Goals(BaseModel):
    """What is to be reached, by metric: races are run to it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    error: _Stated | None = None
    gradient_error: _Stated | None = None
    loss: _Stated | None = None
