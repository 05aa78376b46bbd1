from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

from med3dinsight.report.charts import Curve, Dot, dot_chart, legend, line_chart

DOTS = [Dot("insight", 0.5, 0.1, 0.9), Dot("shuffled", None, strong=False)]
HREF = "{http://www.w3.org/1999/xlink}href"


def svg_of(source: str) -> str:
    kind, _, content = source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(content).decode()


def test_a_chart_is_a_picture_that_refers_to_nothing_outside_itself() -> None:
    for chart in (
        line_chart("Loss", "falls", [Curve((1, 2), (3.0, 1.0), 0)]),
        dot_chart("Dice", "two arms", DOTS, unit="difference", reference=(0.0, "no difference")),
    ):
        root = ET.fromstring(svg_of(chart.source))
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not names & {"script", "image", "foreignObject", "a"}
        links = [element.get(HREF, element.get("href", "")) for element in root.iter()]
        assert all(link.startswith("#") for link in links if link)
        assert "url(http" not in svg_of(chart.source)


def test_the_same_numbers_give_the_same_bytes() -> None:
    def draw(value: float) -> str:
        return line_chart("Loss", "", [Curve((1.0, 2.0), (3.0, value), 0)]).source

    assert draw(1.0) == draw(1.0) != draw(2.0)


def test_names_are_never_read_as_formulas_and_any_script_will_do() -> None:
    """Both would end in an error: a formula that is none, and a warning about a glyph that the font lacks."""
    for name in (r"$\frac{1}$", "肝臓", "<b>&\"'"):
        dot_chart(name, name, [Dot(name, 1.0)], unit=name, reference=(1.0, name))


def test_an_empty_log_gives_an_empty_chart() -> None:
    svg_of(line_chart("Loss", "", [Curve((), (), 0)]).source)


def test_curves_that_lie_below_the_cut_are_shown_all_the_same() -> None:
    def draw(first: float, last: float, lowest: float | None) -> str:
        return line_chart("Share", "", [Curve((1.0, 2.0), (first, last), 0)], lowest=lowest).source

    assert draw(-900.0, -200.0, -100.0) == draw(-900.0, -200.0, None)
    assert draw(-900.0, 10.0, -100.0) != draw(-900.0, 10.0, None)


def test_the_range_of_a_row_is_drawn_only_where_there_is_one() -> None:
    with_range = svg_of(dot_chart("a", "", [Dot("x", 0.5, 0.1, 0.9)], unit="").source)
    without = svg_of(dot_chart("a", "", [Dot("x", 0.5)], unit="").source)
    assert len(re.findall("stroke-linecap: round", with_range)) > len(re.findall("stroke-linecap: round", without))


def test_lines_of_a_legend_differ_in_more_than_colour() -> None:
    entries = legend([str(number) for number in range(4)])
    assert len({entry.dash for entry in entries}) == 4
    assert len({entry.colour for entry in entries}) == 4


def test_no_two_of_many_lines_look_alike() -> None:
    assert len({(entry.colour, entry.dash) for entry in legend([str(number) for number in range(24)])}) == 24
