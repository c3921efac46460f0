"""Who may log in to a broker in the house: the users of the topology, or one whom nobody else knows."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.connections.mqtt.brokers.house_broker import OWN_USER, Login
from actors.core.errors import RouterError
from actors.kit.secrets import Secret

PASSWORD_BYTES: Final = 24
SALT_BYTES: Final = 12

ITERATIONS: Final = 101
"""What mosquitto_passwd takes. More would hold all clients up: mosquitto checks passwords on its only thread."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """All who may log in; nobody in it means that everybody may, and needs no name."""

    logins: tuple[Login, ...] = ()

    @property
    def own(self) -> Login | None:
        """What the router itself logs in with."""
        return next((login for login in self.logins if login.username == OWN_USER), None)


def settle(users: Mapping[str, Secret], *, anonymous: bool, kept: Path) -> Credentials:
    """Whom to let in, by the options `users` and `anonymous`.

    With neither, the router's own login is all there is: random, and kept in the file `kept` (0600) for whoever
    may read it and wants to connect as well. Beside `users` it is made anew each time, and written nowhere.
    Raises `RouterError` where the file is not to be used.
    """
    if anonymous:
        return Credentials()
    if not users:
        return Credentials((kept_login(kept) or _keep(kept),))
    named = tuple(Login(name, password.reveal()) for name, password in users.items())
    return Credentials(named if OWN_USER in users else (*named, _made()))


def kept_login(path: Path) -> Login | None:
    """The login that `settle` has kept in a file; None: there is none. Raises `RouterError` for any other content."""
    try:
        found = json.loads(path.read_text("utf-8"))
        path.chmod(0o600)
        return Login(str(found["username"]), str(found["password"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RouterError(f"{path} does not hold a broker's username and password: {error}. Remove it.") from error


def password_file(credentials: Credentials) -> str:
    """The text of mosquitto's password_file."""
    return "".join(
        f"{login.username}:{hashed(login.password, os.urandom(SALT_BYTES))}\n" for login in credentials.logins
    )


def hashed(password: str, salt: bytes) -> str:
    """A password as mosquitto 2 keeps it: PBKDF2 with HMAC-SHA512 (its type 7), as mosquitto_passwd writes it."""
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def write_private(path: Path, text: str) -> None:
    """Put `text` into a file that nobody else may read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _made() -> Login:
    return Login(OWN_USER, secrets.token_urlsafe(PASSWORD_BYTES))


def _keep(path: Path) -> Login:
    made = _made()
    write_private(path, json.dumps({"username": made.username, "password": made.password}) + "\n")
    return made
