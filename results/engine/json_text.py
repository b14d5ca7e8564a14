"""JSON text of any value by JSON's grammar, of infinities and of not-a-number too."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(value: Any) -> str:
    """The value as JSON text. Infinity, for which JSON has no word, is 1e999, as most readers take it; NaN is null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return _spelt(value)


def _spelt(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)}: {_spelt(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_spelt, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
