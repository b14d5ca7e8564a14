"""Single pieces of a report in files: the table of all cells, and figures."""

import csv
import io
import re
from xml.etree import ElementTree

import pytest

from reports import ReportError, Wanted, write_table
from reports.figure_files import save
from reports.views.named_figures import NamedFigure, distinct, figure_named, of_sections, typed
from reports.views.parts.figure import Figure
from results.read.where import Where

NAME = "adaptive/error-against-time"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def named(content) -> list[NamedFigure]:
    return of_sections(content.sections)


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_a_csv_has_raw_numbers_in_full_precision_and_units_in_the_headings(measured, tmp_path):
    path = tmp_path / "summary.csv"
    count = write_table(measured, path)
    rows = rows_of(path)
    assert len(rows) == count == len(measured.cells())
    assert {"forward_s (s)", "peak_bytes (bytes)", "nfe_forward (calls)", "error (state)"} <= rows[0].keys()
    errors = measured.metrics(Where(name="error")).set_index("cell_key")["value"]
    for row in rows:
        assert float(row["error (state)"] or "nan") == pytest.approx(errors.get(row["cell"], float("nan")), 0, 0, True)
    medians = measured.samples(Where(kind="timing", name="forward_s")).groupby("cell_key")["value"].median()
    timed = [row for row in rows if row["forward_s (s)"]]
    assert timed
    assert all(float(row["forward_s (s)"]) == medians[row["cell"]] for row in timed)
    assert any(float(row["forward_s over control, low"] or "nan") < 1 for row in timed)


def test_markdown_and_latex_have_the_rows_and_the_rounding_of_the_page(measured, content, tmp_path):
    first = content.summary.rows[0].values
    for suffix, separator in ((".md", " | "), (".tex", " & ")):
        path = tmp_path / f"summary{suffix}"
        assert write_table(measured, path) == len(content.summary.rows)
        line = next(line for line in path.read_text("utf-8").splitlines() if first[0].text in line)
        entries = line.strip("|\\ ").split(separator)
        assert len(entries) == len(content.summary.headings)
        assert entries[1:4] == [value.text.replace("_", r"\_") for value in first[1:4]]
    lines = path.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("\\") and "rule" in line] == [
        "\\toprule", "\\midrule", "\\bottomrule",
    ]  # fmt: skip
    assert sum(line.endswith(r"\\") for line in lines) == len(content.summary.rows) + 1


def test_a_part_of_the_table_keeps_its_ratios_to_a_control_that_is_not_in_it(measured, tmp_path):
    every, some = tmp_path / "every.csv", tmp_path / "some.csv"
    write_table(measured, every)
    write_table(measured, some, Wanted(only=Where(solver="dopri8", problem="spiral")))
    rows = {row["cell"]: row for row in rows_of(every)}
    part = rows_of(some)
    assert 0 < len(part) < len(rows)
    assert {row["solver"] for row in part} == {"dopri8"}
    assert all(row == rows[row["cell"]] for row in part)
    assert any(row["forward_s over control"] for row in part)


@pytest.mark.parametrize("name", ["summary.xls", "summary", "summary.tx"])
def test_an_unknown_suffix_is_answered_with_the_known_ones(measured, tmp_path, name):
    with pytest.raises(ReportError, match=r"has .*suffix.*: name the file \*\.tex, \*\.md, \*\.csv"):
        write_table(measured, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_each_figure_and_each_of_several_panels_has_a_name_of_its_own_that_can_be_typed(content, named):
    figures = [figure for section in content.sections for figure in section.figures]
    assert [each.figure for each in named if not each.alone] == figures
    assert sum(each.alone for each in named) == sum(len(each.panels) for each in figures if len(each.panels) > 1)
    names = [each.name for each in named]
    assert {NAME, f"{NAME}/spiral", "spiral/true-and-learned-trajectories/euler"} <= set(names)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9._/-]+", name) for name in names)


def test_a_name_is_typed_in_ascii_and_the_second_of_a_name_has_a_number():
    assert typed("Error against time, T\N{NO-BREAK SPACE}= 1 (µs)") == "error-against-time-t-1-s"
    assert typed("日本") == "figure"
    twice = [NamedFigure("a", "one", Figure("", ())), NamedFigure("a", "two", Figure("", ()))]
    assert [(each.name, each.title) for each in distinct(twice)] == [("a", "one"), ("a-2", "two")]


def test_an_svg_has_title_legend_and_axes_as_text(named, tmp_path):
    path = tmp_path / "figure.svg"
    save(figure_named(named, f"{NAME}/spiral"), path, width=3.3)
    root = ElementTree.fromstring(path.read_text("utf-8"))
    said = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"error", "time of a forward solve", "dopri5", "tsit5", "node", "torchdiffeq"} <= set(said)
    assert any(text.startswith("Adaptive solvers: Error against time") for text in said)
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(3.3 * 72)
    written = path.read_bytes()
    save(figure_named(named, f"{NAME}/spiral"), path, width=3.3)
    assert path.read_bytes() == written


def test_a_pdf_has_fonts_that_journals_accept(named, tmp_path):
    path = tmp_path / "figure.pdf"
    save(figure_named(named, f"{NAME}/spiral"), path, width=6.5)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type3" not in content
    assert b"/CIDFontType2" in content


@pytest.mark.parametrize(
    ("name", "file", "width", "said"),
    [
        ("adaptive/error-against-tim", "a.pdf", 6.5, f"no figure .*Did you mean '{NAME}'"),
        (NAME, "a.jpg", 6.5, r"has the suffix '.jpg': name the file \*\.pdf, \*\.svg, \*\.png"),
        (NAME, "a.pdf", 0.0, "a width of 0 inches: pass one from 1 to 40"),
        (NAME, "a.pdf", float("nan"), "a width of nan inches"),
        (NAME, "file/a.pdf", 6.5, "cannot be written"),
    ],
)
def test_a_wrong_name_file_or_width_is_refused_and_nothing_is_written(named, tmp_path, name, file, width, said):
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match=said):
        save(figure_named(named, name), tmp_path / file, width=width)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
