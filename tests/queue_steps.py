"""What is done to a queue, step by step, in random order; a step names jobs by numbers, which mean something later."""

from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from actors.queues.contract import Order
from actors.queues.job import Deduplication, JobOptions, Keep, State

ALWAYS_MS = 3_600_000
"""Longer than all steps together: what lasts so long does not end meanwhile."""
CUSTOMERS, REGIONS = (Order(f"{name}/", lambda job: str(len(job.data))) for name in ("customer", "region"))

End = Literal["completed", "failed", "retried", "retried later", "released"]


@dataclass(frozen=True)
class Add:
    jobs: tuple["Sketch", ...]


@dataclass(frozen=True)
class Sketch:
    """A job that is to be added."""

    options: JobOptions
    key: str | None
    data: str
    like: int | None
    """It has the id of an earlier one."""


@dataclass(frozen=True)
class Turn:
    """Finish some of what is in hand, and claim others."""

    consumer: int
    ends: tuple[tuple[int, End], ...]
    want: int


@dataclass(frozen=True)
class Pass:
    ms: int


@dataclass(frozen=True)
class Operate:
    what: Literal["pause", "resume", "retry all", "promote all"]


@dataclass(frozen=True)
class Of:
    """Done to one job."""

    what: Literal["retry", "promote", "remove"]
    job: int


@dataclass(frozen=True)
class Clear:
    states: tuple[State, ...]


@dataclass(frozen=True)
class Stall:
    """The locks of what a consumer has in hand expire."""

    consumer: int


@dataclass(frozen=True)
class Restart:
    """The process dies; those that work the queue from then on have this order."""

    order: Order | None


Step = Add | Turn | Pass | Operate | Of | Clear | Stall | Restart

DEDUPLICATION = st.builds(
    Deduplication,
    st.sampled_from("xy"),
    ttl_ms=st.sampled_from([None, ALWAYS_MS]),
    extend=st.booleans(),
    replace=st.booleans(),
    keep_last_if_active=st.booleans(),
)
OPTIONS = st.builds(
    JobOptions,
    priority=st.sampled_from([0, 0, 0, 1, 2]),
    delay_ms=st.sampled_from([0, 0, 0, 4, 8]),
    lifo=st.sampled_from([False, False, False, True]),
    deduplication=st.none() | st.none() | DEDUPLICATION,
    keep_completed=st.sampled_from([None, None, None, Keep(0), Keep(2), Keep(age_s=1)]),
)
SKETCHES = st.builds(
    Sketch,
    OPTIONS,
    key=st.sampled_from([None, None, "customer/1", "customer/2", "customer/2", "region/2", "customer/", "region/"]),
    data=st.sampled_from(["1", "22", "{}"]),
    like=st.none() | st.none() | st.none() | st.none() | st.integers(0, 20),
)
ENDS = st.sampled_from(["completed", "completed", "failed", "retried", "retried later", "released"])
TURNS = st.builds(
    Turn,
    st.integers(0, 1),
    st.lists(st.tuples(st.integers(0, 3), ENDS), max_size=3).map(tuple),
    want=st.integers(0, 4),
)
STATES = st.sampled_from(["waiting", "prioritized", "delayed", "completed", "failed"])
ORDERS = st.sampled_from([CUSTOMERS, CUSTOMERS, REGIONS, None])
STEPS = st.one_of(
    st.builds(Add, st.lists(SKETCHES, min_size=1, max_size=4).map(tuple)),
    TURNS,
    TURNS,
    st.builds(Pass, st.sampled_from([1, 4, 10, 1_500])),
    st.builds(Operate, st.sampled_from(["pause", "resume", "resume", "retry all", "promote all"])),
    st.builds(Of, st.sampled_from(["retry", "promote", "remove", "remove"]), st.integers(0, 30)),
    st.builds(Clear, st.lists(STATES, min_size=1, max_size=2, unique=True).map(tuple)),
    st.builds(Stall, st.integers(0, 1)),
    st.builds(Restart, ORDERS),
)
"""A queue is worked most of the time."""
