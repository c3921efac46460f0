"""PostgreSQL as a process of the tests, in a folder and as a user of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.servers import HOST, READY_TIMEOUT_S, STOP_TIMEOUT_S, Server, ServerError, free_port
from tests.system import PROGRAMS

OWNER = "owner"
PASSWORD = "se:cr/et"
INIT_TIMEOUT_S = 60.0


def _program(command: str) -> str:
    path = PROGRAMS[command].path()
    assert path is not None, "the test needs it"
    # A link elsewhere would have it look for its files there.
    return os.path.realpath(path)


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return []
    name = "postgres" if "postgres" in (entry.pw_name for entry in pwd.getpwall()) else "nobody"
    entry = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--"]


class PostgresServer(Server):
    """Has one user, `OWNER`, who may do everything; others need a password too. Use it as a context manager."""

    def __init__(self, *settings: str, tls: tuple[Path, Path] | None = None) -> None:
        """`settings` are lines of its configuration."""
        # Not in a folder of pytest's, which other users may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        as_user = _as_user()
        password = self.folder / "password"
        password.write_text(f"{PASSWORD}\n")
        data = self.folder / "data"
        self._own(self.folder, password)
        command = [_program("initdb"), "--no-sync", "--auth=scram-sha-256", f"--username={OWNER}", "--encoding=UTF8"]
        subprocess.run(
            [*as_user, *command, "--locale=C", f"--pwfile={password}", str(data)],
            check=True,
            capture_output=True,
            timeout=INIT_TIMEOUT_S,
            cwd=self.folder,
        )
        lines = [f"listen_addresses = '{HOST}'", "unix_socket_directories = ''", "max_connections = 20", *settings]
        if tls is not None:
            cert, key = (Path(shutil.copy(file, self.folder)) for file in tls)
            key.chmod(0o600)
            self._own(cert, key)
            lines += ["ssl = on", f"ssl_cert_file = '{cert}'", f"ssl_key_file = '{key}'"]
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(["", *lines, ""]))
        port = free_port()
        super().__init__(
            "postgres",
            [*as_user, _program("postgres"), "-D", str(data), "-p", str(port)],
            port=port,
            directory=self.folder,
        )

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _own(*files: Path) -> None:
        if not os.geteuid():
            entry = pwd.getpwuid(int(_as_user()[1].partition("=")[2]))
            for file in files:
                os.chown(file, entry.pw_uid, entry.pw_gid)

    def url(self, user: str = OWNER, password: str = PASSWORD, database: str = "postgres") -> str:
        quoted = password.replace(":", "%3A").replace("/", "%2F")
        return f"postgresql://{user}:{quoted}@{self.address}/{database}"

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Behind a kill the processes of the one before may need a moment to end."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return super().start(max(0.1, deadline - time.monotonic()))
            except ServerError:
                if time.monotonic() > deadline:
                    raise

    def stop(self) -> None:
        """Fast: without waiting for clients to disconnect."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def answers(self) -> bool:
        import psycopg

        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query answers, over a connection of its own."""
        import psycopg  # every test run imports this module

        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []
