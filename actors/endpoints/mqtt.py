"""MQTT: messages of subscribed topics in, and publishes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from actors.connections.mqtt import limits, properties, reasons
from actors.connections.mqtt.connection import MqttConnection
from actors.connections.mqtt.consumer import Consumer
from actors.connections.mqtt.filters import FilterTree
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.mqtt.protocol import PACKET_IDS, Publish, Subscription
from actors.connections.mqtt.publisher import Publisher
from actors.connections.mqtt.subscriber import Subscriber
from actors.connections.mqtt.topics import TopicTemplate, check_filter
from actors.connections.mqtt.traffic import Traffic
from actors.core.actor import AsyncioActor
from actors.core.connection import ConnectionTo
from actors.core.deferred import Deferred
from actors.core.errors import DeliveryError
from actors.core.examination import ExamineContext, Finding
from actors.core.hop import Hop
from actors.core.message import Message
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Context, Options, endpoint
from actors.core.succession import Succession
from actors.kit import codecs
from actors.kit.expressions import Template, TemplateTree
from actors.kit.units import Between, Duration

FOR_SOURCES: Final = ("group", "session", "receive_maximum", "retained", "decode", "id", "key")
FOR_TARGETS: Final = ("payload", "headers", "retain", "expiry", "require_subscriber", "republish", "in_flight")
OF_SESSIONS: Final = ("connection", "qos", "group", "session", "receive_maximum", "retained")
NOT_FOR_QOS_0: Final = ("session", "require_subscriber", "republish")

PropertyName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]


class MqttOptions(Options):
    """What an `mqtt` actor can be told: `subscribe`, `publish`, or both."""

    connection: Annotated[str, ConnectionTo("mqtt")]
    """The connection to the broker."""
    qos: Literal[0, 1, 2] = 1
    """0: at most once; 1: acknowledged; 2: acknowledged, and once between router and broker."""

    subscribe: tuple[str, ...] = ()
    """As a source: topic filters, such as `alarms/+/fire` and `sensors/#`."""
    group: str | None = Field(None, pattern=r"^[^+#/\x00]+$")
    """Share the messages with the other subscribers of this group: each goes to one of them."""
    session: Annotated[Duration, Between("0s", "365d")] = Duration("1d")
    """How long the broker keeps what arrives while the router is away, and what is not acknowledged (MQTT 3.1.1:
    as long as it likes; `embedded:`: as long as it runs); `0s`: not at all. A filter that has left `subscribe`
    leaves the session too; what came under it by then still arrives."""
    receive_maximum: int = Field(1000, ge=1, le=PACKET_IDS)
    """How many messages the broker sends before one is acknowledged (MQTT 5); beyond that they wait there."""
    retained: bool = True
    """Whether to take what the broker has retained under a filter, at each subscribing."""
    decode: codecs.Decode = "auto"
    """How the payload becomes `data`."""
    id: Template | None = None
    """The message's id, which is also its idempotency key. Left out: the user property `idempotency-key` or
    `ce-id`, and a new one where there is none."""
    key: Template | None = None
    """The partition key."""

    publish: TopicTemplate | None = None
    """As a target: the topic. What a message puts into it stays within one level."""
    payload: TemplateTree | None = None
    """What to publish; left out, the message's data."""
    headers: dict[PropertyName, Template] = Field(default_factory=dict)
    """User properties beside the message's headers (MQTT 5)."""
    retain: bool = False
    """Whether the broker retains the last message of the topic."""
    expiry: Annotated[Duration, Between("1s", "365d")] | None = None
    """How long the broker keeps it for whoever is away (MQTT 5); a message that expires sooner takes that along."""
    require_subscriber: bool = False
    """Whether "no matching subscribers" is a failed attempt (MQTT 5, where the broker says so); QoS 1 and 2.
    mosquitto says it with QoS 1 only."""
    republish: Annotated[Duration, Between("100ms", "1m")] | None = None
    """Publish again, with the same id, what was acknowledged so shortly before the connection broke: the broker
    may not have saved it. What it refuses then, also for want of a required subscriber, is tried again for 5
    minutes. QoS 1 and 2."""
    in_flight: int = Field(1000, ge=1, le=PACKET_IDS)
    """How many publishes may wait for the broker's acknowledgement; the route's `concurrency` bounds them too."""

    @field_validator("subscribe", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("subscribe")
    @classmethod
    def _are_filters(cls, filters: tuple[str, ...]) -> tuple[str, ...]:
        for filter_ in filters:
            check_filter(filter_)
        return filters

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        options = handler(value)
        if not options.subscribe and options.publish is None:
            raise ValueError("give 'subscribe', 'publish' or both")
        refuse(options._problems(), cls, value)
        return options

    def _problems(self) -> Iterator[OptionProblem]:
        given = self.model_fields_set
        for needed, is_given, names in (
            ("subscribe", bool(self.subscribe), FOR_SOURCES),
            ("publish", self.publish is not None, FOR_TARGETS),
        ):
            for name in names:
                if not is_given and name in given:
                    yield OptionProblem((name,), f"needs '{needed}'", "add that, or remove this")
        if not self.qos:
            for name in NOT_FOR_QOS_0:
                if name in given and getattr(self, name):
                    yield OptionProblem(
                        (name,), "with QoS 0 nothing is acknowledged, and nothing kept", "remove 'qos: 0'"
                    )

    def subscriptions(self) -> tuple[Subscription, ...]:
        prefix = "" if self.group is None else f"$share/{self.group}/"
        return tuple(Subscription(prefix + each, self.qos, self.retained) for each in self.subscribe)


def _hop(options: MqttOptions, connections: Mapping[str, MqttConnectionOptions]) -> Hop:
    asked = [name for name in MqttOptions.model_fields if name in options.model_fields_set and getattr(options, name)]
    if not options.retained:
        asked.append("retained")
    return limits.hop(connections["connection"], options.qos, asked)


def _echoes(targets: Mapping[str, MqttOptions], sources: Mapping[str, MqttOptions]) -> Iterator[tuple[str, str]]:
    filters = FilterTree[tuple[str, str]]()
    for name, options in sources.items():
        for filter_ in options.subscribe:
            filters.add(filter_, (name, options.connection))
    for name, options in targets.items():
        if options.publish is not None:
            for source, connection in filters.matching(options.publish.filter):
                if connection == options.connection:
                    yield name, source


def _succession(before: MqttOptions, after: MqttOptions) -> Succession:
    """A session is one client's at a time: another one of the same source begins when the one before has ended."""
    if not before.subscribe and not after.subscribe:
        return "beside"
    if before.subscribe and after.subscribe and any(getattr(before, n) != getattr(after, n) for n in OF_SESSIONS):
        return "break"
    return "handed_over"


async def _examine(options: MqttOptions, context: ExamineContext) -> Sequence[Finding]:
    from actors.connections.mqtt.examination import examine_actor

    publishes = None if options.publish is None else (options.qos, options.retain)
    connection = context.connections[options.connection]
    assert isinstance(connection, MqttConnectionOptions), "validated"
    return await examine_actor(connection, context, options.subscriptions(), publishes=publishes)


@endpoint(
    "mqtt",
    options=MqttOptions,
    source=lambda options: bool(options.subscribe),
    target=lambda options: options.publish is not None,
    relays=False,  # the broker acknowledges a publish, whoever gets it
    hop=_hop,
    echoes=_echoes,
    succession=_succession,
    examine=_examine,
)
class Mqtt(AsyncioActor):
    """Receives what is published to subscribed topics, and publishes what is delivered to it.

    As a source it acknowledges a message (PUBACK, PUBREC) when it is safe, in the order of arrival; what
    cannot be kept is not acknowledged, and comes again after a reconnect. The topic is the message's subject.
    As a target a message is delivered when the broker has acknowledged it, which says nothing of subscribers
    and nothing of disks; refusals tell their reason code. While the broker is away deliveries are refused at
    once. Over MQTT 5 headers travel as user properties and the message's id as `idempotency-key`; MQTT 3.1.1
    carries the payload alone.
    """

    defers = True

    def __init__(self, options: MqttOptions, context: Context) -> None:
        super().__init__()
        self.concurrency = options.in_flight
        self._options = options
        self._context = context
        # What each message needs is read here, once: an attribute of a pydantic model costs four times one of ours.
        self._qos = options.qos
        self._retain = options.retain
        self._topic = options.publish
        self._payload = options.payload
        self._headers = tuple(options.headers.items())
        self._requires_subscriber = options.require_subscriber
        self._now = context.clock.now
        self._time = context.clock.time
        self._publisher: Publisher | None = None
        self._unwatch: Callable[[], None] | None = None
        self._carries_properties = True
        self._keep_s = 0.0 if options.republish is None else float(options.republish)
        self._expiry_s = None if options.expiry is None else math.ceil(options.expiry)
        self.traffic = Traffic(options.connection)
        """What it has published and consumed."""
        self._consumer: Consumer | None = None
        if options.subscribe:
            self._consumer = Consumer(
                context,
                self.traffic,
                self.spawn,
                decode=options.decode,
                id=options.id,
                key=options.key,
                max_waiting=options.receive_maximum,
                # Of an actor that is both, the standing is that of the target.
                standing=context.standing if options.publish is None else None,
            )

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        options, context = self._options, self._context
        connection = context.resources.get(MqttConnection, options.connection)
        self.traffic = connection.traffic(context.name)
        await connection.open()
        self._carries_properties = connection.version == "5"
        if options.publish is not None:
            self._publisher = connection.publisher()
            await self._publisher.tried()
            self._unwatch = self._publisher.watch(context.standing)
        if self._consumer is not None:
            self._consumer.traffic = self.traffic
            if not context.succeeds:
                subscriber = self._subscribe(self._consumer)
                self._consumer.begin(subscriber)
                await subscriber.tried()

    def _subscribe(self, consumer: Consumer) -> Subscriber:
        options, context = self._options, self._context
        return context.resources.get(MqttConnection, options.connection).subscriber(
            consumer,
            options.subscriptions(),
            name=context.name,
            session_s=int(options.session) if options.qos else 0,
            receive_maximum=options.receive_maximum,
        )

    def take_over(self, predecessor: Mqtt | None) -> None:
        """Receive from now on, over the predecessor's connection and in its session."""
        if not self._context.succeeds:
            return
        consumer = self._consumer
        if consumer is None:
            if predecessor is not None:
                predecessor.on_drain()
            return
        subscriber = None
        if predecessor is not None and predecessor._consumer is not None:
            subscriber = consumer.inherit(predecessor._consumer)
        if subscriber is not None:
            subscriber.move(consumer, self._options.subscriptions())
        consumer.begin(subscriber or self._subscribe(consumer))

    def on_drain(self) -> None:
        if self._consumer is not None:
            self._consumer.drain()

    @property
    def owed(self) -> int:
        """Messages that the broker waits for an acknowledgement of, as the source ends."""
        return 0 if self._consumer is None else self._consumer.owed

    async def on_stop(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._consumer is not None:
            await self._consumer.close()

    # As a target

    def on_receive(self, message: Message) -> Deferred:
        publisher, topic, now_s = self._publisher, self._topic, self._time()
        assert publisher is not None
        assert topic is not None, "only targets are delivered to"
        sent = _Sent(self, self._now())
        name = topic.render(message, now_s)
        if self._payload is None:
            body, content_type = properties.payload(message)
        else:
            body, content_type = codecs.encode(self._payload.render(message, now_s))
        publish = Publish(name, body, self._qos, self._retain, sent)
        if self._carries_properties:
            publish.content_type = content_type
            publish.user_properties = pairs = properties.user_properties(message)
            for header, template in self._headers:
                pairs.append((header, template.render_text(message, now_s)))
            properties.check_text(pairs)
            publish.expiry_s = self._expiry_s
            attributes = message.attributes
            # Mostly there is none but the subject, which stays here.
            if len(attributes) > 1 or "subject" not in attributes:
                publish.response_topic = properties.reply_topic(message)
                publish.correlation_data = properties.correlation_data(message)
                publish.expiry_s = properties.expiry_s(message, now_s, self._expiry_s)
        publisher.publish(publish)
        return sent

    def acknowledged(self, sent: _Sent, publish: Publish, reason: int) -> None:
        """The broker has answered."""
        if reason:
            refusal = reasons.refusal(reason, publish.topic, require_subscriber=self._requires_subscriber)
            if refusal is not None:
                sent.fail(refusal)
                return
        self.traffic.acknowledged(self._now() - sent.since)
        if self._keep_s and self._publisher is not None:
            self._publisher.keep(publish, self._keep_s, require_subscriber=self._requires_subscriber)
        sent.answer()


class _Sent(Deferred):
    """A publish that the broker has not answered."""

    __slots__ = ("_mqtt", "since")

    def __init__(self, mqtt: Mqtt, since: float) -> None:
        super().__init__()
        self._mqtt = mqtt
        self.since = since
        """Monotonic seconds."""

    def acknowledged(self, publish: Publish, reason: int) -> None:
        self._mqtt.acknowledged(self, publish, reason)

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        self.fail(error)
