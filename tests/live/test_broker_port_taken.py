"""A broker in the house whose first start fails: it is tried again, and nobody has to restart anything."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from actors.connections.mqtt.connection import MqttConnection
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.events import Events, Notice
from tests.loop import Run


def test_a_broker_whose_port_is_taken_starts_when_it_is_free(run: Run, tmp_path: Path) -> None:
    """Until then it is as a broker that is away, and says why."""

    async def scenario() -> None:
        events, notices = Events(), asyncio.Queue[Notice]()
        events.subscribe(Notice, notices.put_nowait)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            options = MqttConnectionOptions.model_validate(
                {"url": "embedded:", "listen": {"mqtt": f"127.0.0.1:{port}"}, "anonymous": True}
            )
            connection = MqttConnection(options, ConnectionContext("trial", LoopClock(), events, tmp_path, tmp_path))
            await connection.open()
            told = await asyncio.wait_for(notices.get(), 10)
            assert told.level == "error"
            assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in told.text
            assert connection.serves() == []
            assert connection.access() is None
        try:
            publisher = connection.publisher()
            async with asyncio.timeout(20):
                available = asyncio.Event()

                class Standing:
                    def available(self) -> None:
                        available.set()

                    def unavailable(self, why: str) -> None:
                        available.clear()

                publisher.watch(Standing())
                await available.wait()
            assert any(str(port) in url for url in connection.serves())
        finally:
            await connection.close()

    run(scenario())
