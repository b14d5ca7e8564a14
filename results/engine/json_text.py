"""JSON text of any value, by JSON's grammar also for infinities and NaN."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(value: Any) -> str:
    """The value as JSON text. JSON has no infinity: it is 1e999, which most readers take for one. NaN is null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return _with_infinities(value)


def _with_infinities(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {_with_infinities(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_with_infinities, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
