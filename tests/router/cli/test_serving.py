"""What `router start` does to its process before anything runs in it."""

import resource
from collections.abc import Iterator

import pytest

from router.cli.open_files import MOST_FILES, allow_files


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    """So 10,000 WebSocket clients need no `ulimit`, where the hard limit is not lower; and that one stays as it is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    allow_files()
    soft, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert still == hard
    assert soft == (MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES))


def test_a_limit_is_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    allow_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
