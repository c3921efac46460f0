"""A topology as nodes and edges."""

from collections.abc import Mapping
from pathlib import Path

from router.catalog import Catalog
from router.topology.check import check
from router.topology.graph import Edge, Graph, graph_of
from router.topology.problems import render
from router.topology.variables import Variables

SHOP = """\
router: 1
name: shop
connections:
  broker: {type: mqtt, url: "mqtt://joe:${PASSWORD}@127.0.0.1:1883"}
actors:
  orders: {type: webhook, path: /orders, verify: {bearer: "${TOKEN}"}}
  tick: {type: timer, every: 5m, enabled: false}
  crm: {type: http, url: "${CRM}/orders?key=sesame"}
  bus: {type: mqtt, connection: broker, subscribe: [in/#, more/#], publish: out}
  log: {type: log}
  audit: {type: log}
routes:
  sales:
    from: [orders, tick]
    when: "data.kind == 'sale' and headers.token == '${TOKEN}'"
    durable: true
    steps:
      - phone: {field: data.to, regions: [EC]}
      - dedup: {key: "{{ data.id }}", for: 1h}
    to:
      match:
        - {when: "data.total > 1000", to: [crm, audit]}
      else: bus
    fallback: [log, audit]
    dead_letter: audit
  copies: {from: bus, to: [log, audit], fallback: crm}
"""
SECRETS = {"PASSWORD": "correct horse", "TOKEN": "battery staple", "CRM": "https://crm.hidden.example"}


def graph(text: str = SHOP, environ: Mapping[str, str] = SECRETS) -> Graph:
    """As the command line makes it."""
    topology, problems = check(text, path=Path("t.yaml"), catalog=Catalog.installed(), environ=environ)
    assert topology is not None, "\n".join(map(render, problems))
    return graph_of(topology, put_in=Variables(environ, Path()).put_in(text))


def edges(graph: Graph, name: str) -> list[tuple[str, str, str, str]]:
    """Those at a node, with the names of both ends."""
    names = {node.id: node.name for node in graph.nodes}
    found = [(names[edge.start], names[edge.end], edge.kind, edge.label) for edge in graph.edges]
    return [edge for edge in found if name in edge[:2]]


def test_actors_and_routes_are_nodes_in_the_order_of_the_file() -> None:
    """With what they are, and where they lead."""
    found = graph()
    assert [(node.id, node.kind, node.name) for node in found.nodes] == [
        ("a0", "source", "orders"),
        ("a1", "source", "tick"),
        ("a2", "target", "crm"),
        ("a3", "both", "bus"),
        ("a4", "target", "log"),
        ("a5", "target", "audit"),
        ("r0", "route", "sales"),
        ("r1", "route", "copies"),
    ]
    facts = {node.name: node.facts for node in found.nodes}
    assert facts["orders"] == ("webhook", "/orders")
    assert facts["bus"] == ("mqtt on broker", "subscribe in/#, more/#", "publish out")
    assert facts["sales"] == ("phone › dedup", "durable")
    assert facts["copies"] == ()
    assert [node.name for node in found.nodes if node.is_faint] == ["tick"]
    assert facts["tick"] == ("timer", "every 5m", "disabled")


def test_an_actor_says_which_connection_it_is_on() -> None:
    """Whatever its option for that is called; a queue in the house is on none."""
    text = """\
router: 1
name: shop
connections:
  jobs: {type: redis, url: "redis://127.0.0.1:6379"}
actors:
  tick: {type: timer, every: 1s}
  far: {type: queue, store: jobs, queue: tania-messages}
  near: {type: queue}
routes:
  r: {from: tick, to: [far, near]}
"""
    facts = {node.name: node.facts for node in graph(text).nodes}
    assert facts["far"] == ("queue on jobs", "tania-messages")
    assert facts["near"] == ("queue",)


def test_edges_say_when_a_message_takes_them() -> None:
    """Conditions are shortened; the first fallback is tried first."""
    condition = "data.kind == 'sale' and headers.token =…"
    assert edges(graph(), "sales") == [
        ("orders", "sales", "from", condition),
        ("tick", "sales", "from", condition),
        ("sales", "crm", "to", "data.total > 1000"),
        ("sales", "audit", "to", "data.total > 1000"),
        ("sales", "bus", "to", "else"),
        ("sales", "log", "fallback", "fallback 1"),
        ("sales", "audit", "fallback", "fallback 2"),
        ("sales", "audit", "dead_letter", "dead letter"),
    ]
    assert edges(graph(), "copies") == [
        ("bus", "copies", "from", ""),
        ("copies", "log", "to", ""),
        ("copies", "audit", "to", ""),
        ("copies", "crm", "fallback", "fallback"),
    ]


def test_a_split_shows_shares_and_its_key() -> None:
    """Whatever the weights add up to."""
    to = 'to: {split: {log: 2, audit: 1, crm: 0}, by: "{{ data.from }}"}'
    found = graph(SHOP.replace("copies: {from: bus, to: [log, audit]", f"copies: {{from: bus, {to}"))
    assert edges(found, "copies")[1:4] == [
        ("copies", "log", "to", "66.7%"),
        ("copies", "audit", "to", "33.3%"),
        ("copies", "crm", "to", "0%"),
    ]
    assert found.nodes[-1].facts == ("split by {{ data.from }}",)


def test_what_was_put_in_is_shown_as_the_reference() -> None:
    """Secrets in options, in conditions and in URLs stay where they are."""
    short = SHOP.replace("data.kind == 'sale' and headers.token", "headers.t")
    found = graph(short)
    shown = str(found)
    for secret in SECRETS.values():
        assert secret not in shown
    assert "hidden" not in shown
    assert "sesame" not in shown
    assert edges(found, "tick")[0][3] == "headers.t == '${TOKEN}'"
    assert next(node.facts for node in found.nodes if node.name == "crm") == ("http", "${CRM}/orders")


def test_the_user_part_of_a_url_in_the_file_is_masked() -> None:
    """A condition may hold one."""
    found = graph(SHOP.replace("data.total > 1000", "data.url == 'ftp://joe:pw@host/'"))
    assert edges(found, "crm")[0][3] == "data.url == 'ftp://***@host/'"


def test_defaults_and_short_values_are_no_secrets() -> None:
    """The file itself has a default; and what has three letters would be found everywhere."""
    text = 'a: "${A:-/orders}" b: "${B}" c: "${C:-default}" d: "$${D}" e: "${file:none}"'
    environ = {"B": "log", "C": "from outside", "D": "not asked for"}
    assert Variables(environ, Path()).put_in(text) == {"from outside": "${C}"}


def test_labels_are_on_one_line_and_printable() -> None:
    """Whatever the file has."""
    found = graph(SHOP.replace('"data.total > 1000"', "\"data.x ==\\n   'a\\tb\\u200b'\""))
    assert edges(found, "crm")[0][3] == "data.x == 'a b'"


def test_machines_get_nodes_and_edges() -> None:
    """As plain values."""
    answer = graph().as_dict()
    assert answer["nodes"][1] == {
        "id": "a1",
        "kind": "source",
        "name": "tick",
        "facts": ("timer", "every 5m", "disabled"),
        "enabled": False,
    }
    assert answer["edges"][0]["from"] == "a0"
    assert Edge("a0", "r0", "from") == Edge("a0", "r0", "from", "")
