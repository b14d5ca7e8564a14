"""The colours and strokes of solvers, gradient modes and libraries."""

import pytest

from reports.palette import COLOURS, STROKES, colour_of, stroke_of

BACKGROUNDS = {"light": "#fcfcfb", "dark": "#13171d"}


def luminance(hexadecimal: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted([luminance(one), luminance(two)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", BACKGROUNDS)
@pytest.mark.parametrize("name", [*sorted(set(COLOURS) - {"truth"}), "a", "my_solver", "gl4", "radau"])
def test_every_colour_contrasts_with_its_background(name, mode):
    assert contrast(getattr(colour_of(name), mode), BACKGROUNDS[mode]) >= 3


def test_the_solvers_of_the_studies_have_different_colours():
    solvers = ["euler", "midpoint", "heun", "ralston", "bosh3", "rk4", "rk4_38", "dopri5", "tsit5", "dopri8"]
    assert len({colour_of(name) for name in solvers}) == len(solvers)


def test_the_gradient_modes_have_different_colours():
    modes = ["backprop", "adjoint", "checkpointed", "interpolating", "reversible"]
    assert len({colour_of(name) for name in modes}) == len(modes)


def test_an_unknown_name_keeps_its_colour_and_stroke():
    assert colour_of("radau") == colour_of("radau") != colour_of("gl4")
    assert stroke_of("my_library") == stroke_of("my_library")


def test_no_two_known_libraries_look_alike():
    libraries = [stroke for name, stroke in STROKES.items() if name]
    assert (
        len({stroke.dashes for stroke in libraries}) == len({stroke.marker for stroke in libraries}) == len(libraries)
    )
