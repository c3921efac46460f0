"""A graph as text that other programs draw: Mermaid and Graphviz's DOT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from router.topology.graph import Edge, Graph, Node

_MERMAID_SHAPES: Final = {
    "source": ("([", "])"),
    "target": ("[", "]"),
    "both": ("[[", "]]"),
    "route": ("{{", "}}"),
}
_MERMAID_CLASSES: Final = {
    "source": "fill:#e3f2e6,stroke:#3f8f52,color:#17301d",
    "target": "fill:#e4eefb,stroke:#3b74b8,color:#14273d",
    "both": "fill:#efe7fa,stroke:#7a54b0,color:#27183d",
    "route": "fill:#fff4dc,stroke:#b98521,color:#3b2a08",
    "faint": "stroke-dasharray:4 3,opacity:0.6",
}
_MERMAID_ARROWS: Final = {"from": "-->", "to": "-->", "fallback": "-.->", "dead_letter": "-.->"}
_MERMAID_PLAIN: Final = frozenset(" .,:=-+!?$'()[]{}/›…")
_DOTTED: Final = "stroke-dasharray:1 4"

_DOT_SHAPES: Final = {"source": "box", "target": "box", "both": "box", "route": "hexagon"}
_DOT_FILLS: Final = {"source": "#e3f2e6", "target": "#e4eefb", "both": "#efe7fa", "route": "#fff4dc"}
_DOT_EDGES: Final = {"from": "solid", "to": "solid", "fallback": "dashed", "dead_letter": "dotted"}


def mermaid(graph: Graph) -> str:
    """A flowchart as GitHub, GitLab and many editors draw it."""
    return "\n".join(_mermaid_lines(graph)) + "\n"


def _mermaid_lines(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for node in graph.nodes:
        before, after = _MERMAID_SHAPES[node.kind]
        first, *rest = (_mermaid_text(line) for line in (node.name, *node.facts))
        label = "<br>".join([f"<b>{first}</b>", *rest])
        yield f'    {node.id}{before}"{label}"{after}:::{node.kind}'
    for edge in graph.edges:
        label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
        yield f"    {edge.start} {_MERMAID_ARROWS[edge.kind]}{label} {edge.end}"
    dotted = [str(place) for place, edge in enumerate(graph.edges) if edge.kind == "dead_letter"]
    if dotted:
        yield f"    linkStyle {','.join(dotted)} {_DOTTED}"
    faint = [node.id for node in graph.nodes if node.is_faint]
    used = {node.kind for node in graph.nodes} | ({"faint"} if faint else set())
    for name, style in _MERMAID_CLASSES.items():
        if name in used:
            yield f"    classDef {name} {style}"
    if faint:
        yield f"    class {','.join(faint)} faint"


def _mermaid_text(text: str) -> str:
    """What could end a label, or be HTML or Markdown in it, as entities; so is whatever a line begins with but a letter
    or a slash, since a list or a heading could begin there."""
    return "".join(
        char
        if char.isalpha() or char == "/" or (place and (char.isdigit() or char in _MERMAID_PLAIN))
        else f"#{ord(char)};"
        for place, char in enumerate(text)
    )


def dot(graph: Graph) -> str:
    """A digraph for Graphviz."""
    return "\n".join(_dot_lines(graph)) + "\n"


def _dot_lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {_dot_text([graph.name])} {{"
    yield "    rankdir=LR"
    yield '    node [fontname="Helvetica", fontsize=11, style="filled,rounded", color="#555555"]'
    yield '    edge [fontname="Helvetica", fontsize=10, color="#555555"]'
    for node in graph.nodes:
        yield f"    {node.id} [{_dot_node(node)}]"
    for edge in graph.edges:
        yield f"    {edge.start} -> {edge.end} [{_dot_edge(edge)}]"
    yield "}"


def _dot_node(node: Node) -> str:
    style = '"filled,dashed"' if node.is_faint else "filled" if node.kind == "route" else '"filled,rounded"'
    double = ", peripheries=2" if node.kind == "both" else ""
    shape, fill = _DOT_SHAPES[node.kind], _DOT_FILLS[node.kind]
    return f'label={_dot_text([node.name, *node.facts])}, shape={shape}, fillcolor="{fill}", style={style}{double}'


def _dot_edge(edge: Edge) -> str:
    label = f", label={_dot_text([f' {edge.label} '])}" if edge.label else ""
    return f"style={_DOT_EDGES[edge.kind]}{label}"


def _dot_text(lines: Sequence[str]) -> str:
    """A quoted string: Graphviz knows escapes (`\\N`) and entities (`&lt;`) in it."""
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return f'"{text}"'
