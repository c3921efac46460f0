"""Stands in for wa-clientes and wa-proveedores: takes messages by HTTP and by MQTT, and writes down each.

    python wa_service.py wa-clientes --port 3001 --topic whatsapp/clientes/send

POST /send and the topic lead to the same place. A message is known by its idempotency key, which is an HTTP
header here and a user property of MQTT 5 there; one that comes a second time is written down as repeated, and not
sent to anybody again. Needs paho-mqtt, and nothing else.
"""

# ruff: noqa: INP001  # a program, and no module of a package

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

HOST = "127.0.0.1"
KEEP_SESSION_S = 24 * 3600
RECONNECT_S = 1


class Phones:
    """Where the messages would go on to: WhatsApp. Here each becomes a line of JSON."""

    def __init__(self, work_s: float) -> None:
        self._work_s = work_s
        self._seen: set[str] = set()
        self._repeated = 0
        self._lock = Lock()

    def send(self, via: str, key: str, data: Any) -> None:
        """Send one message, once; whoever calls acknowledges it when this has returned."""
        came_at = round(time.time(), 3)
        time.sleep(self._work_s)
        with self._lock:
            repeated = key in self._seen
            self._seen.add(key)
            self._repeated += repeated
            self._write({"via": via, "key": key, "repeated": repeated, "at": came_at, "data": data})

    def account(self) -> str:
        """What it has received so far."""
        with self._lock:
            return f"{len(self._seen)} messages, {self._repeated} repeats"

    def _write(self, line: dict[str, Any]) -> None:
        print(json.dumps(line, ensure_ascii=False), flush=True)


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, phones: Phones) -> None:
        super().__init__((HOST, port), Handler)
        self.phones = phones


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/send":
            self._answer(404)
            return
        self.server.phones.send("http", self.headers.get("Idempotency-Key", ""), json.loads(body))
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Standard output is for messages."""


def subscriber(name: str, topic: str, phones: Phones) -> Client:
    """A client with a session that the broker keeps; a message is acknowledged when it was sent on."""
    # The broker finds the session again by this id, so no other client may have it.
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
    client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)

    def connected(
        client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            print(f"{name}: the broker refuses: {reason}", file=sys.stderr, flush=True)
            return
        # Each time: a broker that was killed may have forgotten it.
        client.subscribe(topic, qos=1)

    def subscribed(client: Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None) -> None:
        print(f"{name}: subscribed to {topic}", file=sys.stderr, flush=True)

    def disconnected(
        client: Client, _: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            print(f"{name}: the broker is away", file=sys.stderr, flush=True)

    def arrived(client: Client, _: Any, message: MQTTMessage) -> None:
        pairs = getattr(message.properties, "UserProperty", [])
        phones.send("mqtt", dict(pairs).get("idempotency-key", ""), json.loads(message.payload))
        client.ack(message.mid, message.qos)

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_disconnect = disconnected
    client.on_message = arrived
    return client


def main() -> None:
    parser = argparse.ArgumentParser(description="Stands in for a WhatsApp service.")
    parser.add_argument("name", help="its name, which is its client id as well")
    parser.add_argument("--port", type=int, required=True, help="where it takes POST /send")
    parser.add_argument("--topic", required=True, help="what it subscribes to")
    parser.add_argument("--broker", default=os.environ.get("MQTT_URL", "mqtt://127.0.0.1:1883"), metavar="URL")
    parser.add_argument("--work", type=float, default=0.0, metavar="SECONDS", help="how long each message takes")
    given = parser.parse_args()

    phones = Phones(given.work)
    http = HttpServer(given.port, phones)
    Thread(target=http.serve_forever, name="http", daemon=True).start()
    print(f"{given.name}: POST http://{HOST}:{given.port}/send", file=sys.stderr, flush=True)

    broker = urlsplit(given.broker)
    client = subscriber(given.name, given.topic, phones)
    keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own omission
    keep.SessionExpiryInterval = KEEP_SESSION_S
    client.connect_async(broker.hostname or HOST, broker.port or 1883, clean_start=False, properties=keep)

    signal.signal(signal.SIGTERM, lambda *_: client.disconnect())
    try:
        client.loop_forever(retry_first_connection=True)
    except KeyboardInterrupt:
        client.disconnect()
    print(f"{given.name}: {phones.account()}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
