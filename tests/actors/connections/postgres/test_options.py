"""What a PostgreSQL connection can be told: the URL and what contradicts it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.connections.postgres.options import Place, PostgresConnectionOptions, parse_url


@pytest.mark.parametrize(
    ("url", "hosts", "user", "database"),
    [
        ("postgresql://h", (("h", 5432),), None, None),
        ("postgres://me:se%3Acret@h:5433/db", (("h", 5433),), "me", "db"),
        ("postgresql://me@[::1]:5433,other/d%20b", (("::1", 5433), ("other", 5432)), "me", "d b"),
        ("postgresql:///db?host=/var/run/postgresql", (), None, "db"),
        ("postgresql://me@/db?host=h&port=6000", (("h", 6000),), "me", "db"),
    ],
)
def test_a_url_leads_somewhere(
    url: str, hosts: tuple[tuple[str, int], ...], user: str | None, database: str | None
) -> None:
    """As libpq reads it; passwords are not kept."""
    place = parse_url(url)
    assert (place.hosts, place.user, place.database) == (hosts, user, database)
    assert "cret" not in str(place)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "mysql://h/db"},
        {"url": "postgresql://h:port/db"},
        {"url": "postgresql://h:70000/db"},
        {"url": "postgresql://h,,i/db"},
        {"url": "postgresql://h/db#x"},
        {"url": "postgresql://h/db?sslmode"},
        {"url": "postgresql://h/db?sslmode=yes"},
        {"url": "postgresql://h/db?password=x"},
        {"url": "postgresql://h/db?sslrootcert=x"},
        {"url": "postgresql://h/db?passfile=x"},
        {"url": "postgresql://h/db?sslmode=verify-full"},
        {"url": "postgresql://h/db?sslmode=disable", "tls": {"ca": "ca.pem"}},
        {"url": "postgresql://h/db", "tls": {"ca": "system"}},
        {"url": "postgresql://h/db", "tls": {"cert": "cert.pem"}},
        {"url": "postgresql://h/db", "pool": 0},
        {"url": "postgresql://h/db", "connect_timeout": 5},
    ],
)
def test_mistakes(wrong: dict[str, Any]) -> None:
    """Each is a problem, and none tells a secret."""
    with pytest.raises(ValidationError):
        PostgresConnectionOptions.model_validate(wrong)


def test_secrets_and_files_go_to_the_driver_beside_the_url() -> None:
    """Files begin at the topology's folder, and a password is shown to nobody else."""
    options = PostgresConnectionOptions.model_validate(
        {
            "url": "postgresql://me@h/db?sslmode=verify-full",
            "password": "se:cret",
            "tls": {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem"},
        }
    )
    assert "se:cret" not in repr(options)
    assert options.parameters(Path("/etc/router")) == {
        "connect_timeout": 5,
        "password": "se:cret",
        "application_name": "pointsman",
        "sslrootcert": "/etc/router/ca.pem",
        "sslcert": "/etc/router/c.pem",
        "sslkey": "/etc/router/k.pem",
    }


def test_a_users_name_is_not_told_again() -> None:
    """What the server says of it is enough."""
    place = Place((), "me", None, "prefer", frozenset())
    assert place.hide_user('authentication failed for user "me"') == "authentication failed for its user"
