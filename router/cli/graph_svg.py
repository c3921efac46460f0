"""A graph as an SVG image, drawn here: nothing has to be installed for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from router.cli.graph_layout import Layout, Point, Size, Way, layout
from router.cli.terminal import width as columns
from router.topology.graph import Edge, Graph, Node

MARGIN: Final = 16.0
LINE: Final = 16.0
"""From one line of text to the next."""
PADDING: Final = 12.0
POINT: Final = 14.0
"""How far a route's box is pointed on both sides."""
NAME_WIDTH: Final = 7.9
FACT_WIDTH: Final = 6.6
"""Of one column of text: sans serif of 13 and 11 pixels, whichever font it is."""

STYLE: Final = """
  text { font: 11px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #39424e; text-anchor: middle }
  .name { font-size: 13px; font-weight: 600; fill: #10161d }
  .label { fill: #4c5663 }
  .back { fill: #ffffff }
  .box { stroke-width: 1.3 }
  .source .box { fill: #e3f2e6; stroke: #3f8f52 }
  .target .box { fill: #e4eefb; stroke: #3b74b8 }
  .both .box { fill: #efe7fa; stroke: #7a54b0 }
  .route .box { fill: #fff4dc; stroke: #b98521 }
  .faint { opacity: 0.55 }
  .faint .box { stroke-dasharray: 4 3 }
  .way { fill: none; stroke: #6b7684; stroke-width: 1.4 }
  .fallback { stroke-dasharray: 6 4 }
  .dead_letter { stroke-dasharray: 1.5 4; stroke-linecap: round }
  .tip { fill: #6b7684 }
""".strip("\n")


def svg(graph: Graph) -> str:
    """An image with a white background, as tall and as wide as it has to be."""
    sizes = {node.id: _size(node) for node in graph.nodes}
    labels = [(columns(edge.label) * FACT_WIDTH + 10, LINE) if edge.label else None for edge in graph.edges]
    return "\n".join(_lines(graph, layout(graph, sizes, labels), sizes)) + "\n"


def _size(node: Node) -> Size:
    widest = max(columns(node.name) * NAME_WIDTH, *(columns(fact) * FACT_WIDTH for fact in node.facts), 40.0)
    pointed = 2 * POINT if node.kind == "route" else 0.0
    return widest + 2 * PADDING + pointed, LINE * (1 + len(node.facts)) + PADDING


def _lines(graph: Graph, placed: Layout, sizes: dict[str, Size]) -> Iterator[str]:
    width, height = (side + 2 * MARGIN for side in placed.size)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}" role="img">'
    )
    yield f"<title>{escape(graph.name)}</title>"
    yield f"<style>\n{STYLE}\n</style>"
    yield '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path class="tip" d="M0 0.5 L8 4 L0 7.5 z"/></marker></defs>'
    yield f'<rect x="{-MARGIN:.0f}" y="{-MARGIN:.0f}" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
    for edge, way in zip(graph.edges, placed.ways, strict=True):
        yield f'<path class="way {edge.kind}" d="{_path(way)}" marker-end="url(#tip)"/>'
    for edge, way in zip(graph.edges, placed.ways, strict=True):
        yield from _label(edge, way)
    for node in graph.nodes:
        yield from _node(node, placed.nodes[node.id], sizes[node.id])
    yield "</svg>"


def _path(way: Way) -> str:
    (x, y), *rest = way.points
    drawn = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        if next_y == y:
            drawn.append(f"H{next_x:.1f}")
        else:
            bend = (x + next_x) / 2
            drawn.append(f"C{bend:.1f} {y:.1f} {bend:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return " ".join(drawn)


def _label(edge: Edge, way: Way) -> Iterator[str]:
    if way.label is not None:
        x, y = way.label
        width = columns(edge.label) * FACT_WIDTH + 6
        yield f'<rect class="back" x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16"/>'
        yield f'<text class="label" x="{x:.1f}" y="{y + 4:.1f}">{escape(edge.label)}</text>'


def _node(node: Node, middle: Point, size: Size) -> Iterator[str]:
    (x, y), (width, height) = middle, size
    left, top = x - width / 2, y - height / 2
    yield f'<g class="{node.kind}{" faint" if node.is_faint else ""}">'
    if node.kind == "route":
        right, bottom = left + width, top + height
        corners = [
            (left, y),
            (left + POINT, top),
            (right - POINT, top),
            (right, y),
            (right - POINT, bottom),
            (left + POINT, bottom),
        ]
        yield f'<polygon class="box" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}"/>'
    else:
        round_ = height / 2 if node.kind == "source" else 5.0
        yield (
            f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{min(round_, 22.0):.1f}"/>'
        )
    for place, text in enumerate((node.name, *node.facts)):
        baseline = top + PADDING / 2 + LINE * place + 12
        kind = ' class="name"' if not place else ""
        yield f'<text{kind} x="{x:.1f}" y="{baseline:.1f}">{escape(text)}</text>'
    yield "</g>"
