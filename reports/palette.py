"""Colours and strokes, which follow from a name and never from the order of calls."""

import colorsys
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """A colour in two tones, each with a contrast of at least 3 to its background."""

    light: str  # on a light background
    dark: str  # on a dark background


@dataclass(frozen=True)
class Stroke:
    """A dash pattern in units of the line's width (empty: solid) and a marker as matplotlib names it."""

    dashes: tuple[float, ...]
    marker: str
    glyph: str  # the marker as a character, for a legend in text


GREY = Colour("#6b7280", "#9aa4b2")
VERMILLION = Colour("#c2500a", "#ff9455")
GOLD = Colour("#a67c00", "#f2c94c")
GREEN = Colour("#00805e", "#3fd0a4")
BLUE = Colour("#0067a8", "#5cb3f2")
SKY = Colour("#2f93c4", "#a5dcff")
MAGENTA = Colour("#c2185b", "#ff7eb0")
PURPLE = Colour("#7338b0", "#c39dff")
INK = Colour("#111827", "#f3f4f6")
OLIVE = Colour("#6b6b1e", "#cfd06b")

COLOURS: Mapping[str, Colour] = {
    "euler": GREY,
    "midpoint": VERMILLION,
    "heun": GOLD,
    "ralston": OLIVE,
    "bosh3": GREEN,
    "rk4": BLUE,
    "rk4_38": SKY,
    "dopri5": MAGENTA,
    "tsit5": PURPLE,
    "dopri8": INK,
    "truth": Colour("#b8c0cc", "#4b5563"),
    "target": GOLD,
    "none": GREY,
    "backprop": BLUE,
    "adjoint": VERMILLION,
    "checkpointed": GREEN,
    "interpolating": PURPLE,
    "reversible": GOLD,
    "forward": OLIVE,
}

STROKES: Mapping[str, Stroke] = {
    "": Stroke((), "o", "●"),
    "node": Stroke((), "o", "●"),
    "torchdiffeq": Stroke((4, 2), "s", "■"),
    "torchode": Stroke((1, 1.5), "^", "▲"),
    "diffrax": Stroke((6, 2, 1, 2), "D", "◆"),
    "scipy": Stroke((2, 1), "v", "▼"),
}
OTHERS: Sequence[Stroke] = (
    Stroke((8, 2), "P", "✚"),
    Stroke((3, 1, 1, 1), "X", "✖"),
    Stroke((5, 1, 1, 1, 1, 1), "<", "◀"),
    Stroke((1, 1), ">", "▶"),
)


def colour_of(name: str) -> Colour:
    """The name's colour; the hue of an unknown name follows from its hash."""
    if name in COLOURS:
        return COLOURS[name]
    hue = _hash(name) % 360 / 360
    return Colour(_hex(hue, 0.34), _hex(hue, 0.72))


def stroke_of(name: str) -> Stroke:
    """The name's stroke; that of an unknown name is chosen by its hash."""
    return STROKES.get(name) or OTHERS[_hash(name) % len(OTHERS)]


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _hex(hue: float, lightness: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
