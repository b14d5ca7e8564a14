"""Numbers as text: units, digits, ratios, intervals and lists of names."""

import math

import pytest

from results import format as text
from results.statistics.ratio import Ratio


def plain(said: str) -> str:
    """The text with ordinary spaces."""
    return said.replace(text.TIGHT, " ").replace(text.THIN, " ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5e-9, "1.50 ns"),
        (12.34e-6, "12.3 µs"),
        (0.0123, "12.3 ms"),
        (0.9996, "1.00 s"),
        (0.00099951, "1.00 ms"),
        (123.4, "123 s"),
        (12345.6, "12 346 s"),
        (2e-11, "0.0200 ns"),
        (0, "0"),
        (math.nan, text.MISSING),
        (math.inf, "∞"),
    ],
)
def test_seconds_have_three_digits_and_a_suitable_unit(value, said):
    assert plain(text.seconds(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(512, "512 B"), (1024, "1.00 KiB"), (1.5 * 2**20, "1.50 MiB"), (117.4 * 2**20, "117 MiB"), (2**31, "2.00 GiB")],
)
def test_sizes_are_in_powers_of_1024(value, said):
    assert plain(text.size(value)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(45, "45 s"), (119.4, "119 s"), (720, "12 min"), (11100, "3 h 5 min"), (math.nan, text.MISSING)]
)
def test_durations_are_in_whole_seconds_minutes_and_hours(value, said):
    assert plain(text.duration(value)) == said


@pytest.mark.parametrize(("value", "said"), [(7, "7"), (1234567, "1 234 567"), (40.5, "40.5"), (math.inf, "∞")])
def test_counts_have_a_space_between_thousands(value, said):
    assert plain(text.count(value)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1.234e-5, "1.2e-05"), (0, "0"), (110.0, "1.1e+02"), (math.inf, "∞"), (math.nan, text.MISSING)]
)
def test_errors_have_an_exponent(value, said):
    assert text.error(value) == said


@pytest.mark.parametrize(("value", "said"), [(2.312, "2.31×"), (0.4876, "0.488×"), (27.04, "27.0×"), (1234, "1 234×")])
def test_ratios_have_three_digits(value, said):
    assert plain(text.times(value)) == said


def test_a_ratio_is_printed_with_its_interval():
    assert plain(text.ratio(Ratio(2.312, 2.2, 2.438, 10))) == "2.31× [2.20, 2.44]"
    assert text.ratio(None) == text.MISSING


@pytest.mark.parametrize("of_few", [Ratio(2.312, 0.0, math.inf, 10), Ratio(2.0, 0.3, 17.3, 12)])
def test_an_interval_that_says_nothing_is_too_few_processes(of_few):
    assert text.interval(of_few) == text.within(of_few) == "too few processes"
    assert plain(text.ratio(of_few)).endswith("×, too few processes")


@pytest.mark.parametrize(
    ("value", "long", "slower"),
    [
        (4.04, "4.0 times as long", "4.0× slower"),
        (1.031, "3.1 % longer", "3.1 % slower"),
        (1234, "1 200 times as long", "1 200× slower"),
    ],
)
def test_a_ratio_of_times_is_a_factor_in_two_digits_or_a_percentage(value, long, slower):
    assert (plain(text.as_long(value)), plain(text.slower(value))) == (long, slower)


def test_several_numbers_are_told_by_their_ends():
    assert text.span([2.0, 4.04, math.nan, 3.0], text.factor) == "2.0 to 4.0"
    assert text.span([1.0, 1.004], text.times) == "1.00×"
    assert text.span([math.nan], text.times) == text.MISSING


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.02, "2.0 %"),
        (0.1234, "12 %"),
        (0.0996, "10 %"),
        (12.5, "1 250 %"),
        (0.00451, "0.45 %"),
        (0, "0 %"),
        (math.inf, "∞"),
    ],
)
def test_shares_are_percents_of_two_digits(share, said):
    assert plain(text.percent(share)) == said


def test_a_half_width_is_printed_as_a_share_of_the_value():
    assert plain(text.within(Ratio(1.0, 1 / 1.021, 1.021, 10))) == "±2.1 %"


@pytest.mark.parametrize(("value", "said"), [(0.0307, "0.0307"), (0.034, "0.0340"), (1.2345, "1.23"), (1e-7, "1e-07")])
def test_other_numbers_have_three_digits(value, said):
    assert text.number(value) == said


@pytest.mark.parametrize(
    ("said", "tick"),
    [("1.00 ms", "1 ms"), ("1.50 MiB", "1.5 MiB"), ("1.0e-05", "1e-05"), ("1e-10", "1e-10"), ("100", "100")],
)
def test_a_tick_loses_the_zeros_that_only_show_precision(said, tick):
    assert text.tick(said) == tick


def test_nouns_are_singular_or_plural_by_their_number():
    assert plain(text.plural(1, "cell")) == "1 cell"
    assert plain(text.plural(1700, "cell")) == "1 700 cells"


def test_names_are_listed_as_in_a_sentence():
    assert [text.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
