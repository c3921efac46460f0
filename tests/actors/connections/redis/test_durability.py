"""What an operator is told of how durable a Redis is."""

import pytest

from actors.connections.redis.durability import Facts, findings, info

SAFE = Facts("7.0.15", False, "noeviction", 0, True, "always", "3600 1")


def levels(facts: Facts) -> dict[str, str]:
    return {finding.text: finding.level for finding in findings(facts)}


def test_a_redis_that_syncs_always_and_evicts_nothing_needs_no_word() -> None:
    assert set(levels(SAFE).values()) == {"ok"}


@pytest.mark.parametrize(
    ("facts", "level", "part"),
    [
        (Facts("6.0.9", False, "noeviction", 0, True, "always"), "problem", "queues need 6.2"),
        (Facts("7.0.1", True, "noeviction", 0, True, "always"), "problem", "replica"),
        (Facts("7.0.1", False, "allkeys-lru", 1, True, "always"), "warning", "deletes keys when its memory is full"),
        (Facts("7.0.1", False, "allkeys-lru", 0, True, "always"), "warning", "once it has a maxmemory"),
        (Facts("7.0.1", False, "noeviction", 0, True, "everysec"), "warning", "every second"),
        (Facts("7.0.1", False, "noeviction", 0, True, "no"), "warning", "leaves syncing"),
        (Facts("7.0.1", False, "noeviction", 0, True, None), "warning", "cannot be known"),
        (Facts("7.0.1", False, "noeviction", 0, False, None, ""), "warning", "keeps nothing on disk"),
        (Facts("7.0.1", False, "noeviction", 0, False, None, "60 1"), "warning", "snapshots (save 60 1)"),
        (Facts(), "warning", "version cannot be known"),
    ],
)
def test_what_can_lose_jobs_is_said(facts: Facts, level: str, part: str) -> None:
    assert [found for text, found in levels(facts).items() if part in text] == [level]


def test_info_is_names_and_values() -> None:
    assert info("# Server\r\nredis_version:7.0.15\r\nrole:master\r\n") == {"redis_version": "7.0.15", "role": "master"}
    assert info(None) == {}
