"""`router graph`: what is written for other programs, and the image that is drawn here."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.graph_layout import CELL_GAP, Layout, layout
from router.cli.graph_svg import svg
from router.cli.graph_text import dot, mermaid
from router.topology.graph import Edge, EdgeKind, Graph, Node
from tests.router.cli.conftest import Cli

SVG = "{http://www.w3.org/2000/svg}"

SHOP = """\
router: 1
name: shop
actors:
  orders: {type: webhook, path: /orders}
  log: {type: log}
  spare: {type: log, enabled: false}
routes:
  to-log: {from: orders, when: "data.a == \\"x\\"", to: log, fallback: spare, dead_letter: spare}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the topology is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "topology.yaml").write_text(SHOP)
    return tmp_path


def test_mermaid_is_what_is_written_unless_another_is_asked_for(cli: Cli) -> None:
    """With shapes by role, and a dash for what is not the rule."""
    assert cli("graph").output == (
        "flowchart LR\n"
        '    a0(["<b>orders</b><br>webhook<br>/orders"]):::source\n'
        '    a1["<b>log</b><br>log"]:::target\n'
        '    a2["<b>spare</b><br>log<br>disabled"]:::target\n'
        '    r0{{"<b>to-log</b>"}}:::route\n'
        '    a0 -->|"data.a == #34;x#34;"| r0\n'
        "    r0 --> a1\n"
        '    r0 -.->|"fallback"| a2\n'
        '    r0 -.->|"dead letter"| a2\n'
        "    linkStyle 3 stroke-dasharray:1 4\n"
        "    classDef source fill:#e3f2e6,stroke:#3f8f52,color:#17301d\n"
        "    classDef target fill:#e4eefb,stroke:#3b74b8,color:#14273d\n"
        "    classDef route fill:#fff4dc,stroke:#b98521,color:#3b2a08\n"
        "    classDef faint stroke-dasharray:4 3,opacity:0.6\n"
        "    class a2 faint\n"
    )


def test_graphviz_gets_its_own_language(cli: Cli) -> None:
    """Quotes and backslashes are escaped."""
    output = cli("graph", "--format", "dot").output
    assert output.startswith('digraph "shop" {\n    rankdir=LR\n')
    assert '    a0 -> r0 [style=solid, label=" data.a == \\"x\\" "]\n' in output
    assert (
        '    r0 -> a2 [style=dashed, label=" fallback "]\n    r0 -> a2 [style=dotted, label=" dead letter "]\n'
        in output
    )


def test_an_image_needs_no_other_program(cli: Cli, folder: Path) -> None:
    """Every name and every label is in it; nothing but the image goes to standard output."""
    ended = cli("graph", "-f", "svg", "--output", "shop.svg")
    assert (ended.code, ended.output, ended.errors) == (0, "", "shop.svg is written\n")
    root = ElementTree.parse(folder / "shop.svg").getroot()
    texts = [str(text.text) for text in root.iter(f"{SVG}text")]
    assert sorted(texts[:3]) == ['data.a == "x"', "dead letter", "fallback"]
    assert {"orders", "webhook", "/orders", "to-log", "log", "spare", "disabled"} <= set(texts)
    kinds = [path.get("class") for path in root.iter(f"{SVG}path") if "way" in str(path.get("class"))]
    assert kinds == ["way from", "way to", "way fallback", "way dead_letter"]


def test_machines_get_the_graph(cli: Cli) -> None:
    """Whatever the format."""
    answer = cli("graph", "--json").json
    assert answer["name"] == "shop"
    assert answer["edges"][2] == {"from": "r0", "to": "a2", "kind": "fallback", "label": "fallback"}


def test_a_topology_with_problems_is_not_drawn(cli: Cli, folder: Path) -> None:
    """They are shown as `validate` shows them; an unknown format is wrong usage, and a missing folder a failure."""
    assert cli("graph", "-f", "png").code == 2
    ended = cli("graph", "--output", "no/where.svg")
    assert (ended.code, ended.errors) == (
        1,
        "error: no/where.svg cannot be written: No such file or directory\n",
    )
    (folder / "topology.yaml").write_text(SHOP.replace("to: log", "to: lgo"))
    ended = cli("graph")
    assert (ended.code, ended.output) == (78, "")
    assert "unknown actor 'lgo'" in ended.errors


def test_the_help_has_examples(cli: Cli) -> None:
    """As every command's."""
    assert "router graph --format svg --output topology.svg" in cli("graph", "--help").output


# Whatever users write

HOSTILE = Graph(
    'a"b',
    (
        Node("a0", "source", "end", ('"]:::x', "<script>alert(1)</script>", "1. list")),
        Node("a1", "both", "- dash", ("# title", "\\N \\", "&lt;")),
        Node("r0", "route", "*b*", ("`code`", "日本語")),
    ),
    (Edge("a0", "r0", "from", '"| x'), Edge("r0", "a1", "to", "%%; end -->"), Edge("a1", "r0", "fallback", "<b>")),
)


def test_mermaid_cannot_be_broken_out_of() -> None:
    """Each label is between two quotes, and what is neither letter nor harmless is an entity."""
    for line in mermaid(HOSTILE).splitlines():
        for label in re.findall(r'"([^"]*)"', line):
            shown = label.replace("<b>", "").replace("</b>", "").replace("<br>", "")
            assert not re.search(r"[<>\"`*_%|;](?<!\d;)", shown), line
        assert line.count('"') in (0, 2)
    assert "#49;. list" in mermaid(HOSTILE)
    assert "#45; dash" in mermaid(HOSTILE)


def test_an_image_holds_text_as_text() -> None:
    """And no element that is not ours."""
    root = ElementTree.fromstring(svg(HOSTILE))
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"<script>alert(1)</script>", '"| x', "<b>", "&lt;"} <= texts
    assert not list(root.iter(f"{SVG}script"))


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_graphviz_draws_it() -> None:
    """With the texts as they are."""
    done = subprocess.run(["dot", "-Tsvg"], input=dot(HOSTILE), capture_output=True, text=True, timeout=20, check=True)
    texts = {text.text for text in ElementTree.fromstring(done.stdout).iter(f"{SVG}text")}
    assert {"<script>alert(1)</script>", "\\N \\", "&lt;"} <= texts


# Layout

KINDS: tuple[EdgeKind, ...] = ("from", "to", "fallback", "dead_letter")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any edges at all, in circles too."""
    ids = [f"n{number}" for number in range(draw(st.integers(1, 12)))]
    nodes = tuple(Node(id, "target", id, ("fact",) * draw(st.integers(0, 3))) for id in ids)
    ends = st.tuples(st.sampled_from(ids), st.sampled_from(ids)).filter(lambda pair: pair[0] != pair[1])
    pairs = draw(st.lists(ends, max_size=24)) if len(ids) > 1 else []
    labels = st.sampled_from(["", "x", "a longer label"])
    return Graph("g", nodes, tuple(Edge(a, b, draw(st.sampled_from(KINDS)), draw(labels)) for a, b in pairs))


def placed(graph: Graph) -> Layout:
    sizes = {node.id: (80.0, 20.0 + 16 * len(node.facts)) for node in graph.nodes}
    return layout(graph, sizes, [(6.0 * len(edge.label), 16.0) if edge.label else None for edge in graph.edges])


@given(graphs())
def test_nodes_never_overlap_and_are_all_within_the_image(graph: Graph) -> None:
    """Whatever leads where."""
    found = placed(graph)
    width, height = found.size
    boxes = []
    for node in graph.nodes:
        (x, y), half = found.nodes[node.id], (20.0 + 16 * len(node.facts)) / 2
        assert x - 40 >= -0.01
        assert x + 40 <= width + 0.01
        assert y - half >= -0.01
        assert y + half <= height + 0.01
        boxes.append((x, y, half))
    for (x, y, half), (other_x, other_y, other_half) in itertools.combinations(boxes, 2):
        assert abs(x - other_x) >= 80 or abs(y - other_y) >= half + other_half + CELL_GAP - 0.01


@given(graphs())
def test_every_way_joins_its_two_nodes(graph: Graph) -> None:
    """From the side of one to the side of the other; a label is on its way."""
    found = placed(graph)
    for edge, way in zip(graph.edges, found.ways, strict=True):
        for point, name in ((way.points[0], edge.start), (way.points[-1], edge.end)):
            x, y = found.nodes[name]
            assert abs(point[0] - x) == pytest.approx(40)
            assert point[1] == y
        assert (way.label is not None) is bool(edge.label)
        if way.label is not None:
            assert way.label[1] in {y for _, y in way.points}


def test_a_chain_leads_straight_from_left_to_right() -> None:
    """On one level, each behind the one before."""
    ids = ["a", "b", "c", "d"]
    chain = Graph("g", tuple(Node(id, "target", id) for id in ids), tuple(map(_edge, ids, ids[1:])))
    found = placed(chain)
    points = [found.nodes[id] for id in ids]
    assert points == sorted(points)
    assert len({y for _, y in points}) == 1


def _edge(start: str, end: str) -> Edge:
    return Edge(start, end, "to")


def test_nothing_is_an_image_too() -> None:
    """Of a topology without actors."""
    assert ElementTree.fromstring(svg(Graph("empty", (), ()))).get("width") == "32"


def test_a_large_topology_is_drawn_in_a_moment() -> None:
    """500 routes: a picture for nobody, but no reason to hang."""
    nodes = [Node(f"a{n}", "source", f"in-{n}") for n in range(500)] + [
        Node(f"r{n}", "route", f"r{n}") for n in range(500)
    ]
    edges = [Edge(f"a{n}", f"r{n}", "from") for n in range(500)] + [
        Edge(f"r{n}", f"a{(n * 7) % 500}", "to") for n in range(500)
    ]
    assert svg(Graph("large", tuple(nodes), tuple(edges))).count("<polygon") == 500
