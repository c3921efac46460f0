"""What of a topology one of several processes runs: what a name brings along, and what cannot be cut in two."""

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog
from router.topology.check import check
from router.topology.model import Topology
from router.topology.part import ends_of_route, node_name, restrict, restricted
from router.topology.problems import TopologyError, render
from tests.router.topology.checking import HEAD, brief
from tests.router.topology.checking import topology_of as sample

SHOP = """
actors:
  in: {type: door, path: /in}
  back: {type: door, path: /back}
  a: {type: sink}
  b: {type: sink}
  c: {type: post, url: "http://127.0.0.1/"}
  dead: {type: sink}
groups:
  ab: {strategy: rest_for_one, actors: [a, b]}
  cc: {strategy: one_for_all, actors: [c, dead]}
routes:
  one: {from: in, to: a, fallback: b}
  two: {from: [in, back], to: {match: [{when: data.x, to: [a, c]}], else: b}, dead_letter: dead}
  three: {from: back, to: {split: {b: 1, c: 2}}}
"""


def installed(text: str) -> Topology:
    """With the types that are installed."""
    topology, problems = check(HEAD + dedent(text), path=Path("t.yaml"), catalog=Catalog.installed(), environ={})
    assert topology is not None, "\n".join(map(render, problems))
    return topology


def parts(text: str, *names: str) -> tuple[list[str], list[str]]:
    part = restrict(sample(dedent(text)), names)
    return list(part.actors), list(part.routes)


class TestWhatANameBrings:
    def test_a_route_brings_its_actors(self) -> None:
        assert parts(SHOP, "one") == (["in", "a", "b"], ["one"])
        assert parts(SHOP, "two") == (["in", "back", "a", "b", "c", "dead"], ["two"])

    def test_an_actor_brings_the_routes_that_begin_at_it_with_theirs(self) -> None:
        """And not those that lead to it."""
        assert parts(SHOP, "in") == (["in", "back", "a", "b", "c", "dead"], ["one", "two"])
        assert parts(SHOP, "a") == (["a"], [])

    def test_groups_and_connections_are_those_of_its_actors(self) -> None:
        """A group keeps its order; what nobody uses is not there."""
        part = restrict(sample(SHOP), ["three"])
        assert {name: group.actors for name, group in part.groups.items()} == {"ab": ("b",), "cc": ("c",)}
        assert part.left_out == {"one", "two"}
        text = """
        connections: {db: {type: postgres, url: "postgresql://h/x"}, o: {type: postgres, url: "postgresql://h/y"}}
        actors:
          tick: {type: timer, every: 1h}
          rows: {type: postgres, connection: db, preset: failed_webhooks}
          more: {type: postgres, connection: o, preset: failed_webhooks}
        routes: {r: {from: tick, to: rows}, s: {from: tick, to: more}}
        """
        assert list(restrict(installed(text), ["r"]).connections) == ["db"]

    def test_an_unknown_name_is_a_problem_with_a_suggestion(self) -> None:
        """All of them are told."""
        part, problems = restricted(sample(SHOP), ["on", "three", "nobody"])
        assert part is None
        assert [(each.message, each.suggestion) for each in problems] == [
            ("--only names 'on', and no actor or route is called so", "did you mean 'one'?"),
            ("--only names 'nobody', and no actor or route is called so", ""),
        ]
        with pytest.raises(TopologyError):
            restrict(sample(SHOP), ["on"])


NAMES = st.sets(st.sampled_from(["in", "back", "a", "b", "c", "dead", "one", "two", "three"]), min_size=1)


class TestWhateverTheNames:
    @given(NAMES)
    def test_a_part_has_all_that_it_needs_and_nothing_that_is_not_there(self, names: set[str]) -> None:
        """Each actor is named, or some route of the part wants it."""
        whole = sample(SHOP)
        part = restrict(whole, names)
        wanted = {actor for route in part.routes.values() for actor in ends_of_route(route)}
        assert wanted <= part.actors.keys() <= wanted | names
        assert all(whole.actors[name] is actor for name, actor in part.actors.items())
        assert all(whole.routes[name] is route for name, route in part.routes.items())
        assert part.left_out == whole.routes.keys() - part.routes.keys()
        assert {name for group in part.groups.values() for name in group.actors} == part.actors.keys() - {"in", "back"}

    @given(NAMES)
    def test_a_part_of_a_part_by_the_same_names_is_that_part(self, names: set[str]) -> None:
        part = restrict(sample(SHOP), names)
        assert restrict(part, names) == part

    @given(NAMES, NAMES)
    def test_more_names_bring_no_less(self, first: set[str], second: set[str]) -> None:
        """And just what each of them brings."""
        whole = sample(SHOP)
        one, other, both = (restrict(whole, names) for names in (first, second, first | second))
        assert both.routes.keys() == one.routes.keys() | other.routes.keys()
        assert both.actors.keys() == one.actors.keys() | other.actors.keys()

    @given(NAMES)
    def test_a_node_is_called_the_same_in_whatever_order(self, names: set[str]) -> None:
        assert node_name([*names, *names]) == node_name(sorted(names, reverse=True)) == "-".join(sorted(names))


class TestWhatCannotBeCut:
    def told(self, text: str, *names: str) -> list[str]:
        return [brief(problem) for problem in restricted(installed(text), names)[1]]

    QUEUE = """
    actors:
      tick: {type: timer, every: 1h}
      jobs: {type: queue%s}
      out: {type: log}
    routes:
      add: {from: tick, to: jobs}
      work: {from: jobs, to: out}
    """

    def test_an_embedded_queue(self) -> None:
        """What one process adds no other one would find."""
        assert self.told(self.QUEUE % "", "add") == [
            "jobs | the queue 'jobs' is kept by this process alone, and route 'work', which is not started here, uses "
            "it too (name that as well, or keep the queue in Redis: 'store: …')"
        ]
        assert self.told(self.QUEUE % "", "jobs") != []
        assert self.told(self.QUEUE % "", "add", "work") == []

    def test_two_actors_of_one_embedded_queue(self) -> None:
        """It goes by the queue's name, which they may have in common."""
        text = """
        actors:
          tick: {type: timer, every: 1h}
          adds: {type: queue, queue: q}
          works: {type: queue, queue: q}
          out: {type: log}
        routes:
          add: {from: tick, to: adds}
          work: {from: works, to: out}
        """
        (problem,) = self.told(text, "work")
        assert problem.startswith("works | the queue 'q' is kept by this process alone, and route 'add'")

    def test_a_queue_in_redis_may_be(self) -> None:
        """It consumes nothing where no route begins at it."""
        text = "connections: {redis: {type: redis, url: 'redis://h'}}\n" + dedent(self.QUEUE)
        assert self.told(text % ", store: redis", "add") == []
        assert self.told(text % ", store: redis", "jobs") == []

    BROKER = """
connections: {broker: {type: mqtt, url: "%s"%s}}
actors:
  tick: {type: timer, every: 1h}
  pub: {type: mqtt, connection: broker, publish: a}
  sub: {type: mqtt, connection: broker, subscribe: a}
  out: {type: log}
routes:
  send: {from: tick, to: pub}
  take: {from: sub, to: out}
"""

    @pytest.mark.parametrize("house", ["embedded:", "mosquitto:"])
    def test_a_broker_in_the_house(self, house: str) -> None:
        """Each process would start one."""
        assert self.told(self.BROKER % (house, ""), "send") == [
            "broker | the broker of connection 'broker' runs in this process alone, and route 'take', which is not "
            "started here, uses it too (name that as well, or use a broker that runs by itself: mqtt://…)"
        ]
        assert self.told(self.BROKER % (house, ""), "send", "sub") == []
        assert self.told(self.BROKER % ("mqtt://h", ""), "send") == []

    def test_clients_of_one_id_are_warned_of(self) -> None:
        """The broker would disconnect one for the other."""
        (problem,) = self.told(self.BROKER % ("mqtt://h", ", client_id: it"), "send")
        assert problem.startswith("broker | warning: connection 'broker' has a client_id")

    def test_secrets_of_the_line_are_not_told(self) -> None:
        """As in every other problem."""
        text = self.BROKER % ("embedded:", ", users: {panel: se-cret}")
        (problem,) = restricted(installed(text), ["send"])[1]
        assert "se-cret" not in render(problem)

    def test_a_target_that_takes_in_messages_for_others(self) -> None:
        """They would end as dead letters here."""
        text = """
        connections: {broker: {type: mqtt, url: "mqtt://h"}}
        actors:
          tick: {type: timer, every: 1h}
          both: {type: mqtt, connection: broker, publish: a, subscribe: b}
          out: {type: log}
        routes:
          send: {from: tick, to: both}
          take: {from: both, to: out}
        """
        assert self.told(text, "send") == [
            "both | 'both' also takes in messages, for route 'take', which is not started here (name that as well, "
            "or give what is sent an actor of its own)"
        ]
        assert self.told(text, "both") == []

    def test_a_source_whose_messages_do_not_take_every_route(self) -> None:
        """A warning: that may be meant."""
        text = """
        actors: {in: {type: webhook, path: /in}, a: {type: log}, b: {type: log}}
        routes: {one: {from: in, to: a, durable: true}, two: {from: in, to: b, durable: true}}
        """
        part, problems = restricted(installed(text), ["one"])
        assert part is not None
        assert [brief(problem) for problem in problems] == [
            "in | warning: what 'in' takes in here does not take route 'two', which is not started here (name that as "
            "well, or the source in its place)"
        ]
