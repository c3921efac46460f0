"""MQTT: messages of subscribed topics in, and publishes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from actors.connections.mqtt import properties, reasons
from actors.connections.mqtt.connection import MqttConnection
from actors.connections.mqtt.protocol import PACKET_IDS, Arrival, Publish, Subscription
from actors.connections.mqtt.publisher import Publisher
from actors.connections.mqtt.subscriber import Subscriber
from actors.connections.mqtt.topics import TopicTemplate, check_filter
from actors.connections.mqtt.traffic import Traffic
from actors.core.actor import AsyncioActor
from actors.core.deferred import Deferred
from actors.core.errors import BackPressureError, DecodeError, ExpressionError, RouterError
from actors.core.events import Notice
from actors.core.message import Message, Receipt
from actors.core.spec import ConnectionTo, Context, Options, endpoint
from actors.kit import codecs
from actors.kit.expressions import Template, TemplateTree
from actors.kit.units import Between, Duration

FOR_SOURCES: Final = ("group", "session", "receive_maximum", "retained", "decode", "id", "key")
FOR_TARGETS: Final = ("payload", "headers", "retain", "expiry", "require_subscriber", "republish", "in_flight")

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
    as long as it likes); `0s`: not at all."""
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
    """Whether "no matching subscribers" is a failed attempt (MQTT 5, where the broker says so); QoS 1 and 2."""
    republish: Annotated[Duration, Between("100ms", "1m")] | None = None
    """Publish again, with the same id, what was acknowledged so shortly before the connection broke: the broker
    may not have saved it. QoS 1 and 2."""
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.subscribe and self.publish is None:
            raise ValueError("give 'subscribe', 'publish' or both")
        for needed, given, names in (
            ("subscribe", bool(self.subscribe), FOR_SOURCES),
            ("publish", self.publish is not None, FOR_TARGETS),
        ):
            for name in names:
                if not given and name in self.model_fields_set:
                    raise ValueError(f"'{name}' needs '{needed}'")
        for name in ("require_subscriber", "republish"):
            if not self.qos and getattr(self, name):
                raise ValueError(f"'{name}' needs QoS 1 or 2: nothing is acknowledged with QoS 0")
        return self

    def subscriptions(self) -> tuple[Subscription, ...]:
        prefix = "" if self.group is None else f"$share/{self.group}/"
        return tuple(Subscription(prefix + each, self.qos, self.retained) for each in self.subscribe)


@endpoint(
    "mqtt",
    options=MqttOptions,
    source=lambda options: bool(options.subscribe),
    target=lambda options: options.publish is not None,
    relays=False,
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
        self._draining = False
        self._templated = options.id is not None or options.key is not None
        self._subscriber: Subscriber | None = None
        self._waiting: deque[tuple[Message, _Taken | None]] = deque()
        """What the routes have no room for. QoS 1 and 2: no more than the broker sends unacknowledged."""
        self._missed = 0
        self._publisher: Publisher | None = None
        self._unwatch: Callable[[], None] | None = None
        self._carries_properties = True
        self._keep_s = 0.0 if options.republish is None else float(options.republish)
        self._expiry_s = None if options.expiry is None else float(options.expiry)
        self.traffic = Traffic(options.connection)
        """What it has published and consumed."""

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
        if options.subscribe:
            self._subscriber = connection.subscriber(
                self,
                options.subscriptions(),
                name=context.name,
                session_s=int(options.session) if options.qos else 0,
                receive_maximum=options.receive_maximum,
            )
            await self._subscriber.tried()

    def on_drain(self) -> None:
        # What arrives from here on is not acknowledged, and stays with the broker.
        self._draining = True
        self._waiting.clear()

    async def on_stop(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        self._draining = True
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            await subscriber.close()

    # As a target

    def on_receive(self, message: Message) -> Deferred:
        options, now_s = self._options, self._context.clock.time()
        publisher, topic = self._publisher, options.publish
        assert publisher is not None
        assert topic is not None, "only targets are delivered to"
        sent = _Sent(self, self._context.clock.now())
        name = topic.render(message, now_s)
        if options.payload is None:
            body, content_type = properties.payload(message)
        else:
            body, content_type = codecs.encode(options.payload.render(message, now_s))
        if not self._carries_properties:
            sent.publish = Publish(name, body, options.qos, options.retain, sent)
        else:
            pairs = properties.user_properties(message)
            for header, template in options.headers.items():
                pairs.append((header, template.render_text(message, now_s)))
            properties.check_text(pairs)
            sent.publish = publish = Publish(name, body, options.qos, options.retain, sent, pairs, content_type)
            if message.attributes:
                publish.response_topic = properties.reply_topic(message)
                publish.correlation_data = properties.correlation_data(message)
                publish.expiry_s = properties.expiry_s(message, now_s, self._expiry_s)
            elif self._expiry_s is not None:
                publish.expiry_s = int(self._expiry_s)
        publisher.publish(sent.publish)
        return sent

    def acknowledged(self, sent: _Sent, reason: int) -> None:
        """The broker has answered."""
        if reason:
            topic = sent.publish.topic
            refusal = reasons.refusal(reason, topic, require_subscriber=self._options.require_subscriber)
            if refusal is not None:
                sent.fail(refusal)
                return
        self.traffic.acknowledged(self._context.clock.now() - sent.since)
        if self._keep_s and self._publisher is not None:
            self._publisher.keep(sent.publish, self._keep_s)
        sent.answer()

    # As a source

    def available(self) -> None:
        if self._publisher is None:
            self._context.standing.available()

    def unavailable(self, why: str) -> None:
        # Of an actor that is both, the standing is that of the target.
        if self._publisher is None and not self._draining:
            self._context.standing.unavailable(why)

    def arrived(self, arrival: Arrival) -> None:
        """A message from the broker: hand it on, or let it wait for room."""
        if self._draining:
            return
        self.traffic.consumed += 1
        receipt = _Taken(self, arrival) if arrival.qos else None
        context = self._context
        now_s = context.clock.time()
        try:
            data = codecs.decode(arrival.payload, arrival.content_type, self._options.decode)
            message = properties.message_of(arrival, context.name, data, now_s)
            if self._templated:
                message = self._completed(message)
        except (DecodeError, ExpressionError) as error:
            message = properties.message_of(arrival, context.name, arrival.payload, now_s)
            reason: Literal["undecodable", "expression"] = (
                "undecodable" if isinstance(error, DecodeError) else "expression"
            )
            context.outlet.reject(message, receipt, reason=reason, error=str(error))
            return
        if self._waiting:
            self._wait(message, receipt)
            return
        try:
            context.outlet.offer(message, receipt)
        except BackPressureError:
            self._wait(message, receipt)
        except RouterError as error:
            if receipt is not None:
                receipt.refuse(error)

    def _completed(self, message: Message) -> Message:
        options, now_s = self._options, message.time
        if options.id is not None:
            given = options.id.render_text(message, now_s)
            if given:
                message = message._replace(id=given[: properties.LONGEST_ID])
        if options.key is not None:
            message = message.with_attributes(partitionkey=options.key.render_text(message, now_s))
        return message

    def _wait(self, message: Message, receipt: _Taken | None) -> None:
        waiting = self._waiting
        if receipt is None and len(waiting) >= self._options.receive_maximum:
            # The broker does not wait for QoS 0, and promises nothing.
            if not self._missed:
                text = f"{self._context.name}: no room for messages of QoS 0, which are left out"
                self._context.events.emit(Notice(text, "warning"))
            self._missed += 1
            return
        waiting.append((message, receipt))
        if len(waiting) == 1:
            self.spawn(self._pour())

    async def _pour(self) -> None:
        """Hand on what waits, in its order, as there is room for it."""
        waiting, outlet = self._waiting, self._context.outlet
        while waiting:
            message, receipt = waiting[0]
            try:
                await outlet.put(message, receipt)
            except RouterError as error:
                if receipt is not None:
                    receipt.refuse(error)
            if waiting and waiting[0][0] is message:
                waiting.popleft()
        self._missed = 0

    def taken(self, arrival: Arrival) -> None:
        """It is safe."""
        if self._subscriber is not None:
            self._subscriber.acknowledge(arrival)

    def refused(self, arrival: Arrival, error: RouterError) -> None:
        """It could not be made safe: the broker keeps it."""
        if self._subscriber is not None and not self._draining:
            self._context.events.emit(Notice(f"{self._context.name}: not acknowledged: {error}", "error"))
            self._subscriber.give_back(arrival)


class _Sent(Deferred):
    """A publish that the broker has not answered."""

    __slots__ = ("_mqtt", "publish", "since")

    publish: Publish

    def __init__(self, mqtt: Mqtt, since: float) -> None:
        super().__init__()
        self._mqtt = mqtt
        self.since = since
        """Monotonic seconds."""

    def acknowledged(self, reason: int) -> None:
        self._mqtt.acknowledged(self, reason)

    def failed(self, error: Any) -> None:
        self.fail(error)


class _Taken(Receipt):
    """A message that the broker waits for an acknowledgement of."""

    __slots__ = ("_arrival", "_mqtt")

    def __init__(self, mqtt: Mqtt, arrival: Arrival) -> None:
        super().__init__()
        self._mqtt = mqtt
        self._arrival = arrival

    def on_accepted(self) -> None:
        self._mqtt.taken(self._arrival)

    def on_refused(self, error: RouterError) -> None:
        self._mqtt.refused(self._arrival, error)
