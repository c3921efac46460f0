"""Each store of queues in turn; see `actors/queues/contract.py`. What is BullMQ's means what it means there."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.queues import Opens, has_redis, redis_place, sqlite_place


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "redis",
            marks=[
                pytest.mark.live,
                pytest.mark.needs("redis-server"),
                pytest.mark.skipif(not has_redis(), reason="there is no store in Redis"),
            ],
        ),
    ]
)
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opens]:
    if request.param == "redis":
        yield partial(redis_place, request.getfixturevalue("redis_server"), tmp_path)
    else:
        yield partial(sqlite_place, tmp_path)
