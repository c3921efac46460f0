"""What holds between the parts of a topology: names, roles, claims, cycles, answers."""

from __future__ import annotations

from collections.abc import Iterable

from actors.kit.expressions import Template
from router.topology.cycles import cycles
from router.topology.draft import ActorDraft, ConnectionDraft, Draft, Reference, Role, RouteDraft
from router.topology.fields import connections_of, words_at
from router.topology.report import Report
from router.topology.source import Span
from router.topology.target import All, Match, One, Split
from router.topology.tree import ListNode, MapNode, ScalarNode, scalars

_NOUNS: dict[Role, str] = {"from": "source", "to": "target", "fallback": "fallback", "dead_letter": "dead letter"}


class Rules:
    """Checks one file as a whole; what one entry gets wrong by itself has been reported before."""

    def __init__(self, draft: Draft, report: Report) -> None:
        self._actors = draft.actors
        self._routes = draft.routes
        self._groups = draft.groups
        self._connections = draft.connections
        self._report = report
        self._fitting: set[tuple[Role, ScalarNode]] = set()
        """References to actors that are known to be what they are used as."""
        self._from: dict[str, list[RouteDraft]] = {}
        for route in draft.routes.values():
            for name in dict.fromkeys(reference.name for reference in route.named("from")):
                self._from.setdefault(name, []).append(route)

    def check(self) -> None:
        for route in self._routes.values():
            self._names(route)
            self._repetitions(route)
            self._fallbacks(route)
            self._splits(route)
            if route.definition is not None and not isinstance(route.definition.to, Split):
                self._order(route.node, route.definition)
            self._disabled(route)
        self._cycles()
        self._claims()
        self._members()
        # Of a route whose ends cannot be read nobody knows which actors it uses.
        all_read = all(route.named("from") and route.named("to") for route in self._routes.values())
        for actor in self._actors.values():
            self._connected(actor)
            self._answers(actor)
            if actor.definition is not None:
                self._order(actor.node, actor.definition.options)
            if not actor.used and all_read:
                self._report.warning(actor.key, f"no route uses actor '{actor.name}'")

    def _names(self, route: RouteDraft) -> None:
        if route.name in self._actors:
            self._report.error(route.key, f"'{route.name}' is an actor already: actors and routes have different names")
        for reference in route.references:
            actor = self._actors.get(reference.name)
            if actor is None:
                self._unknown(reference.name, reference.node)
            else:
                actor.used = True
                self._role(actor, reference)

    def _role(self, actor: ActorDraft, reference: Reference) -> None:
        definition = actor.definition
        if definition is None:
            return
        role = "source" if reference.role == "from" else "target"
        fits = definition.spec.source if role == "source" else definition.spec.target
        if actor.ask(self._report, fits, default=True):
            self._fitting.add((reference.role, reference.node))
        else:
            self._report.error(
                reference.node.span,
                f"actor {reference.node.shown()} is used as a {_NOUNS[reference.role]}, and is no {role}",
                f"its type is '{definition.type}'",
            )

    def _unknown(self, name: str, node: ScalarNode) -> None:
        meant = self._report.closest(name, self._actors)
        if meant is not None:
            self._actors[meant].used = True  # a misspelt name is one mistake
        suggestion = f"did you mean '{meant}'?" if meant is not None and node.written is None else ""
        if name in self._routes:
            suggestion = "that is a route"
        self._report.error(node.span, f"unknown actor {node.shown()}", suggestion)

    def _repetitions(self, route: RouteDraft) -> None:
        lists = [route.node.get("from"), route.node.get("fallback"), route.node.get("to")]
        to = route.node.get("to")
        if isinstance(to, MapNode):
            lists.append(to.get("else"))
            cases = to.get("match")
            if isinstance(cases, ListNode):
                lists.extend(case.get("to") for case in cases.items if isinstance(case, MapNode))
        for node in lists:
            if isinstance(node, ListNode):
                self._once(item for item in node.items if isinstance(item, ScalarNode))

    def _once(self, items: Iterable[ScalarNode]) -> None:
        seen = set()
        for item in items:
            if isinstance(item.value, str) and not item.broken:
                if item.value in seen:
                    self._report.error(item.span, f"{item.shown()} is in this list already")
                seen.add(item.value)

    def _fallbacks(self, route: RouteDraft) -> None:
        targets = {reference.name for reference in route.named("to")}
        to = route.node.get("to")
        for reference in route.named("fallback"):
            # Of a match, another case's target is a fallback as good as any.
            if reference.name in targets and (not isinstance(to, MapNode) or len(targets) == 1):
                self._report.error(
                    reference.node.span, f"{reference.node.shown()} is the target itself, and no fallback"
                )

    def _splits(self, route: RouteDraft) -> None:
        """A key that is the same for all sends all to one target: mostly `{{ }}` was forgotten."""
        definition, node = route.definition, route.node.get("to")
        if definition is None or not isinstance(definition.to, Split) or not isinstance(node, MapNode):
            return
        to = definition.to
        name, template, key = (
            ("by", to.by, node.get("by"))
            if to.by is not None
            else ("order_by", definition.order_by, route.node.get("order_by"))
        )
        several = sum(weight > 0 for weight in to.weights.values()) > 1
        if several and template is not None and key is not None and template.is_constant and template.source != "":
            text = f"'{name}' is the same for every message, and so all go to one target of the split"
            self._report.warning(key.span, text, "an expression stands in {{ }}")

    def _order(self, node: MapNode, definition: object) -> None:
        """A key that is the same for all lets one message at a time through: mostly `{{ }}` was forgotten."""
        template, written = getattr(definition, "order_by", None), node.get("order_by")
        if not isinstance(template, Template) or written is None or not template.is_constant or not template.source:
            return
        if getattr(definition, "concurrency", 1) > 1 or "{" in str(template.source):
            text = "'order_by' is the same for every message, and so one at a time is under way"
            self._report.warning(written.span, text, "an expression stands in {{ }}")

    def _disabled(self, route: RouteDraft) -> None:
        if route.named("fallback"):
            return
        for reference in route.named("to"):
            actor = self._actors.get(reference.name)
            if actor is not None and not actor.enabled:
                self._report.warning(
                    reference.node.span, f"actor {reference.node.shown()} is disabled, and the route has no fallback"
                )

    def _cycles(self) -> None:
        edges: dict[str, list[tuple[str, tuple[RouteDraft, Reference]]]] = {}
        for route in self._routes.values():
            if route.durable:
                continue  # the source is acknowledged before the route goes on
            fitting = [reference for reference in route.references if (reference.role, reference.node) in self._fitting]
            targets = [reference for reference in fitting if reference.role != "from"]
            for source in fitting:
                if source.role == "from" and self._relays(source.name):
                    edges.setdefault(source.name, []).extend((target.name, (route, target)) for target in targets)
        for cycle in cycles(edges):
            way = " → ".join(f"{source} → {route.name}" for source, (route, _), _ in cycle)
            _, (_, last), end = cycle[-1]
            self._report.error(
                last.node.span,
                f"a cycle of routes that wait for each other: {way} → {end}",
                "'durable: true' on one of them",
            )

    def _relays(self, name: str) -> bool:
        definition = self._actors[name].definition
        return definition is not None and definition.spec.relays

    def _claims(self) -> None:
        held: dict[str, ActorDraft] = {}
        for actor in self._actors.values():
            definition = actor.definition
            if definition is None or not definition.enabled:
                continue
            claims: frozenset[str] = actor.ask(self._report, definition.spec.claims, default=frozenset())
            taken = sorted(claim for claim in claims if claim in held)
            if taken:  # one of them says it
                holder = held[taken[0]]
                span, shown = _claimed(actor, taken[0])
                line, _, _ = self._report.source.place(holder.key)
                self._report.error(span, f"{shown} is taken by actor '{holder.name}' in line {line}")
            for claim in claims:
                held.setdefault(claim, actor)

    def _members(self) -> None:
        member_of: dict[str, str] = {}
        for group in self._groups.values():
            self._once(group.members)
            for node in group.members:
                if not isinstance(node.value, str):
                    continue
                if node.value not in self._actors:
                    self._unknown(node.value, node)
                other = member_of.setdefault(node.value, group.name)
                if other != group.name:
                    self._report.error(node.span, f"actor {node.shown()} is in group '{other}' already")

    def _connected(self, actor: ActorDraft) -> None:
        """Whether the connections that its options name are there, and of the type that is wanted."""
        definition = actor.definition
        if definition is None:
            return
        for key, name, wanted in connections_of(definition.options):
            node = actor.node.get(key)
            span, shown = (node.span, node.shown()) if isinstance(node, ScalarNode) else (actor.key, f"'{name}'")
            connection = self._connections.get(name)
            if connection is None:
                others = [other for other, draft in self._connections.items() if _fits(draft, wanted)]
                words = words_at(definition.options, key)
                meant = self._report.did_you_mean(name, [*others, *words]) if shown == f"'{name}'" else ""
                among = f"there are: {', '.join(others)}" if others else f"'connections' has none of type '{wanted}'"
                self._report.error(span, f"unknown connection {shown}", meant or among)
            elif not _fits(connection, wanted):
                assert connection.definition is not None
                text = f"connection {shown} is of type '{connection.definition.type}', and '{wanted}' is wanted here"
                self._report.error(span, text)

    def _answers(self, actor: ActorDraft) -> None:
        definition = actor.definition
        respond = getattr(definition.options, "respond", None) if definition is not None else None
        if definition is None or respond is None:
            return
        node = actor.node.get("respond")
        span = node.span if node is not None else actor.key
        routes = self._from.get(actor.name, [])
        if respond == "accepted" and node is not None:
            risky = [f"'{route.name}'" for route in routes if not (route.durable or self._keeps(route))]
            if risky:
                which = f"route {risky[0]} is" if len(risky) == 1 else f"routes {', '.join(risky)} are"
                self._report.warning(
                    span,
                    f"answered before the message is safe: {which} not durable",
                    "'durable: true' there, or 'respond: delivered' here",
                )
        elif respond == "reply":
            self._replies(routes, span)

    def _keeps(self, route: RouteDraft) -> bool:
        """Whether all that a route leads to keep what they acknowledge."""
        actors = [self._actors.get(reference.name) for reference in route.named("to", "fallback")]
        return bool(actors) and all(
            actor is not None
            and actor.definition is not None
            and actor.ask(self._report, actor.definition.spec.keeps, default=False)
            for actor in actors
        )

    def _replies(self, routes: list[RouteDraft], span: Span) -> None:
        """One route, one target for each message, and one that answers."""
        if len(routes) > 1:
            listed = ", ".join(f"'{route.name}'" for route in routes)
            self._report.error(span, f"'respond: reply' needs exactly one route from here; there are {listed}")
            return
        for route in routes:
            if route.definition is not None and not _single(route.definition.to):
                self._report.error(span, f"'respond: reply' needs exactly one target; route '{route.name}' has a list")
                continue
            for reference in route.named("to", "fallback"):
                target = self._actors.get(reference.name)
                definition = target.definition if target is not None else None
                if target is None or definition is None:
                    continue
                if not target.ask(self._report, definition.spec.replies, default=True):
                    self._report.error(
                        span,
                        f"'respond: reply' needs a target that replies; {reference.node.shown()} of route "
                        f"'{route.name}' does not",
                    )


def _fits(connection: ConnectionDraft, wanted: str) -> bool:
    """Of one with problems of its own nobody knows better."""
    return connection.definition is None or connection.definition.type == wanted


def _single(to: One | All | Match | Split) -> bool:
    if isinstance(to, One | Split):
        return True
    if isinstance(to, All):
        return len(to.actors) == 1
    return all(len(case.to) == 1 for case in to.cases) and len(to.otherwise or ("",)) == 1


def _claimed(actor: ActorDraft, claim: str) -> tuple[Span, str]:
    """The option that a claim comes from, if one is recognised in it, and how to call the claim."""
    words = claim.split()
    found = [scalar for scalar in scalars(actor.node) if isinstance(scalar.value, str) and scalar.value in words]
    if not found:
        written = all(scalar.written is None for scalar in scalars(actor.node))
        return actor.key, f"'{claim}'" if written else "what it claims"
    best = max(found, key=lambda scalar: words.index(str(scalar.value)))  # the most special word stands last
    return best.span, f"'{claim}'" if all(scalar.written is None for scalar in found) else best.shown()
