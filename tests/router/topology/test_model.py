"""A checked topology has what the file says, and the documented defaults for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from actors.kit.expressions import Expression, Template
from actors.kit.units import Duration, Percentage, Size
from router.topology import model, settings, target
from router.topology.model import RouteDefinition
from router.topology.settings import Address
from router.topology.target import One
from tests.router.topology.checking import topology_of
from tests.router.topology.sample_types import PostOptions

ACTORS = """
actors:
  in: {type: door, path: /in}
  out: {type: post, url: "http://127.0.0.1/{{ data.id }}"}
  sink: {type: sink}
"""


def route(text: str) -> RouteDefinition:
    return topology_of(f"{ACTORS}routes:\n  r: {text}\n").routes["r"]


def test_a_route_without_more_than_its_ends_has_the_documented_defaults() -> None:
    found = route("{from: in, to: sink}")
    assert found.sources == ("in",)
    assert found.to == One(actor="sink")
    assert (found.when, found.order_by, found.fallback, found.dead_letter, found.steps) == (None, None, (), None, ())
    assert (found.concurrency, found.durable, found.timeout, found.max_waiting) == (1, False, 10.0, 1000)
    assert found.on_unknown == "retry"
    retry = found.retry
    assert (retry.attempts, retry.backoff, retry.jitter) == (5, "exponential", 0.2)
    assert (retry.delay, retry.max_delay) == (Duration("1s"), Duration("1m"))


def test_a_route_has_what_the_file_says() -> None:
    found = route("""
    from: [in]
    when: data.kind == 'alarm'
    order_by: "{{ data.from }}"
    concurrency: 8
    durable: true
    timeout: 250ms
    retry: {attempts: 3, backoff: fixed, delay: 0s}
    on_unknown: fallback
    steps:
      - filter: data.level > 3
      - list: x
      - list: {names: [y], times: 2}
    to: out
    fallback: sink
    dead_letter: sink
""")
    assert found.name == "r"
    assert found.when == Expression("data.kind == 'alarm'")
    assert found.order_by == Template("{{ data.from }}")
    assert (found.concurrency, found.durable, found.timeout) == (8, True, 0.25)
    assert (found.retry.attempts, found.retry.backoff, found.retry.delay) == (3, "fixed", Duration("0s"))
    assert (found.fallback, found.dead_letter) == (("sink",), "sink")
    assert [(step.name, step.spec.name) for step in found.steps] == [
        ("filter", "filter"),
        ("list", "list"),
        ("list", "list"),
    ]
    assert found.steps[2].options.model_dump() == {"names": ("y",), "times": 2}


def test_an_actor_has_its_type_its_options_and_what_every_actor_has() -> None:
    actor = topology_of(ACTORS).actors["in"]
    assert (actor.name, actor.type, actor.spec.name) == ("in", "door", "door")
    assert actor.options.model_dump(include={"path", "methods"}) == {"path": "/in", "methods": ("POST",)}
    assert actor.enabled
    assert (actor.mailbox.capacity, actor.mailbox.overflow) == (1000, "wait")
    assert (actor.supervise.restart, actor.supervise.max_restarts, actor.supervise.within) == (
        "permanent",
        5,
        Duration("30s"),
    )
    backoff = actor.supervise.backoff
    assert (backoff.min, backoff.max, backoff.jitter) == (Duration("100ms"), Duration("30s"), 0.2)
    assert (actor.limit, actor.breaker) == (None, None)
    assert (actor.is_source, actor.is_target, actor.replies) == (True, False, False)


def test_an_actor_can_have_a_limit_and_a_breaker() -> None:
    actor = topology_of(
        "actors: {x: {type: sink, limit: {max: 80, per: 1s}, breaker: {failures: 20%, open: 5s}}}"
    ).actors["x"]
    assert actor.limit is not None
    assert (actor.limit.max, actor.limit.per) == (80, Duration("1s"))
    assert actor.breaker is not None
    assert (actor.breaker.failures, actor.breaker.min_requests) == (Percentage("20%"), 20)
    assert (actor.breaker.window, actor.breaker.open) == (Duration("30s"), Duration("5s"))


def test_settings_have_defaults_and_can_all_be_given() -> None:
    assert topology_of("").settings == settings.Settings()
    found = topology_of("""
settings:
  state_dir: /var/lib/router
  http: {host: 0.0.0.0, port: 0, tls: {cert: a.pem, key: b.pem}}
  control: {listen: unix}
  observe: {listen: "[::1]:9464"}
  drain_timeout: 5s
  log: {format: json, level: debug}
  redact: [phone]
  retention: {dead_letters: {age: 1d, size: 1MiB}, history: {count: 50}}
  journal: {size: 2MiB}
""").settings
    assert found.observe is not None
    assert found.observe.listen == Address("::1", 9464)
    assert str(found.observe.listen) == "[::1]:9464"
    assert (found.journal.size, found.retention.dead_letters.age) == (Size("2MiB"), Duration("1d"))
    assert (found.retention.history.count, settings.Settings().retention.history.count) == (50, 1000)


def test_groups_name_actors_in_their_order() -> None:
    group = topology_of(f"{ACTORS}groups: {{g: {{strategy: rest_for_one, actors: [out, sink]}}}}").groups["g"]
    assert (group.strategy, group.actors) == ("rest_for_one", ("out", "sink"))


def test_two_topologies_are_equal_where_they_mean_the_same() -> None:
    """What changes is told by comparing definitions, so layout and comments must not matter."""
    one = topology_of(f"{ACTORS}routes: {{r: {{from: in, to: sink, when: data.a}}}}")
    other = topology_of(f"# new\n{ACTORS}routes:\n  r:\n    from: [in]\n    to: sink\n    when: 'data.a'\n")
    assert one == other
    assert one.text != other.text
    assert one != topology_of(f"{ACTORS}routes: {{r: {{from: in, to: sink, when: data.b}}}}")


def test_a_topology_knows_its_file(tmp_path: Path) -> None:
    topology = topology_of("", path=tmp_path / "t.yaml")
    assert (topology.path, topology.directory) == (tmp_path / "t.yaml", tmp_path)
    assert topology.text == "router: 1\nname: test\n"


def test_what_stands_for_a_secret_is_not_printed() -> None:
    topology = topology_of('actors: {x: {type: post, url: x, token: "${T}"}}', {"T": "hunter2"})
    assert "hunter2" not in repr(topology)
    assert "hunter2" not in str(topology.actors["x"])


def test_a_number_from_the_environment_may_be_a_string_where_one_is_wanted() -> None:
    """A password of digits needs no quotes, and a number may have them: within { } it must."""
    topology = topology_of(
        'actors:\n  x:\n    type: post\n    url: x\n    token: ${T}\n    tags: ["${T}"]\n'
        '  y: {type: post, url: x, qos: "${Q}", enabled: "${E}", mailbox: {capacity: "1${Q}"}}\n',
        {"T": "0123", "Q": "2", "E": "false"},
    )
    x, y = topology.actors["x"].options, topology.actors["y"]
    assert isinstance(x, PostOptions)
    assert isinstance(y.options, PostOptions)
    assert x.token is not None
    assert (x.token.reveal(), x.tags) == ("0123", ("0123",))
    assert (y.options.qos, y.enabled, y.mailbox.capacity) == (2, False, 12)


MODELS = [
    value
    for module in (model, settings, target)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("options", MODELS)
def test_every_option_of_the_language_is_described(options: type[BaseModel]) -> None:
    """The schema and the reference are made from these."""
    inner = {"ActorDefinition": {"name", "type", "options", "spec"}, "RouteDefinition": {"name", "steps"}}
    inner |= {"One": {"actor"}, "All": {"actors"}}
    described = {name for name, field in options.model_fields.items() if field.description}
    assert set(options.model_fields) - described <= inner.get(options.__name__, set())
    assert options.__doc__
