"""Real servers as processes of the tests, each on a free loopback port and in a folder of its own."""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
READY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0


def free_port() -> int:
    """A loopback TCP port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class ServerError(Exception):
    """A server did not become ready, or did not end; the message has the last of its output."""


class Server:
    """One server process, which can be stopped, killed, paused, and started again on the same port."""

    def __init__(self, name: str, command: Sequence[str | Path], *, port: int, directory: Path) -> None:
        self.name = name
        self.port = port
        self.directory = directory
        self._command = command
        self._output = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start the process and wait until it answers."""
        assert self._process is None, f"{self.name} runs already"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
            )
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.kill()
                state = "took too long" if ended is None else f"ended with {ended}"
                raise ServerError(f"{self.name} on {self.address} {state}:\n{self.output()}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether a connection is accepted; a server that says more about its state overrides this."""
        try:
            socket.create_connection((HOST, self.port), timeout=1.0).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Ask the process to end, and wait for it; does nothing when it does not run."""
        process = self._process
        if process is None:
            return
        self.resume()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"{self.name} did not end when asked to:\n{self.output()}") from None
        self._process = None

    def kill(self) -> None:
        """End the process with no chance to tidy up (SIGKILL); does nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): its connections stay open and nobody answers."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(signal.SIGCONT)

    def output(self, lines: int = 20) -> str:
        """The last lines that the process printed."""
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-lines:])


class RedisServer(Server):
    """redis-server; keeps nothing on disk unless `appendfsync` names when its append-only file is synced.

    `options` are further ones of its command line, such as `("--requirepass", "secret")`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        appendfsync: str | None = None,
        options: Sequence[str | Path] = (),
    ) -> None:
        port = free_port() if port is None else port
        command = ["redis-server", "--bind", HOST, "--port", str(port), "--dir", str(directory), "--save", ""]
        if appendfsync is not None:
            command += ["--appendonly", "yes", "--appendfsync", appendfsync]
        super().__init__("redis-server", [*command, *options], port=port, directory=directory)

    @property
    def url(self) -> str:
        return f"redis://{self.address}"

    def answers(self) -> bool:
        """Whether PING is answered with PONG, or wants a password; while Redis loads its file it refuses that."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
