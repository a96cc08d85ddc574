"""A matplotlib figure as SVG that lives inside a page: it takes the page's colours, fonts and width.

Figures are drawn in stand-in colours, each of which becomes a CSS variable of the page, so that one drawing serves
light and dark screens and paper. Names from outside never enter a drawing; legends are the page's own text.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, REAL, FAKE = "#000001", "#000002", "#000003", "#000004", "#000005"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015", "#000016")
COLOURS: Mapping[str, str] = MappingProxyType(
    {INK: "currentColor", MUTED: "var(--muted)", LINE: "var(--line)", REAL: "var(--real)", FAKE: "var(--fake)"}
    | {colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)}
)
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ganeval",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.5,
}
# Inches; 72 units of the drawing each, so that 9 points are legible at the width of a phone.
SIZE = (4.6, 2.9)
_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
# The family of a font, which is the page's; pointers, at the start of a link or in a url(); digits nobody sees.
_FAMILY, _POINTER, _DIGITS = (
    re.compile(r"font-family: [^;]*;? ?"),
    re.compile(r"^#|(?<=\()#"),
    re.compile(r"(\.\d\d)\d+"),
)


@contextmanager
def axes() -> Iterator["tuple[Figure, Axes]"]:
    """A figure with one set of axes, and the style to draw in."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The last one is of matplotlib's own reading of the user's configuration, which is none of a report's.
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=SIZE, layout="constrained")
        yield figure, figure.add_subplot()


def to_svg(figure: "Figure", key: str, label: str) -> str:
    """The drawing as an element of a page. key: unique in it. label: what it shows, for who cannot see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314, matplotlib's own
    for parent in root.iter():
        # A style sheet inside a drawing would be the whole page's.
        for child in [child for child in parent if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")]:
            parent.remove(child)
    _rename(root, key)
    for element in root.iter():
        _dress(element)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    return ET.tostring(root, encoding="unicode")


def _rename(root: ET.Element, key: str) -> None:
    """Only elements that are pointed to keep a name, and it is unique in the page."""
    text = ET.tostring(root, encoding="unicode")
    wanted = {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)}
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in wanted:
            element.set("id", f"{key}-{name}")
        for attribute, value in element.attrib.items():
            is_link = attribute == f"{{{_LINK}}}href"
            element.set(attribute, _POINTER.sub(f"#{key}-", value) if is_link or "url(#" in value else value)


def _dress(element: ET.Element) -> None:
    for attribute in ("style", "fill", "stroke"):
        value = element.get(attribute)
        if value is not None:
            for colour, name in COLOURS.items():
                value = value.replace(colour, name)
            element.set(attribute, _FAMILY.sub("", value))
    if not (element.tail or "").strip():
        element.tail = None
    if not (element.text or "").strip():
        element.text = None
    for attribute in ("d", "x", "y", "transform"):
        if attribute in element.attrib:
            element.set(attribute, " ".join(_DIGITS.sub(r"\1", element.attrib[attribute]).split()))
