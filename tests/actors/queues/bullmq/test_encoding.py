"""BullMQ's way to write options and jobs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.queues.bullmq.encoding import encode_options, keep_jobs, read_job, read_options, read_row
from actors.queues.job import MAX_PRIORITY, Backoff, Deduplication, JobOptions, Keep

KEEPS = st.none() | st.builds(Keep, st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6))
OPTIONS = st.builds(
    JobOptions,
    priority=st.integers(0, MAX_PRIORITY),
    delay_ms=st.integers(0, 10**10),
    attempts=st.integers(1, 100),
    backoff=st.none()
    | st.builds(Backoff, st.sampled_from(["fixed", "exponential", "own"]), st.integers(0, 10**9), st.floats(0, 1)),
    lifo=st.booleans(),
    deduplication=st.none()
    | st.builds(
        Deduplication,
        st.text(min_size=1),
        st.none() | st.integers(1, 10**9),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    keep_completed=KEEPS,
    keep_failed=KEEPS,
    others=st.dictionaries(
        st.sampled_from(["failParentOnFailure", "keepLogs", "stackTraceLimit", "repeat"]), st.integers()
    ),
)


@given(OPTIONS)
def test_options_come_back_as_they_were_written(options: JobOptions) -> None:
    assert read_options(json.dumps(encode_options(options))) == options


def test_options_are_written_as_node_reads_them() -> None:
    options = JobOptions(
        priority=2,
        delay_ms=500,
        attempts=3,
        backoff=Backoff("exponential", 1_000, 0.5),
        lifo=True,
        deduplication=Deduplication("d", 5_000, extend=True, replace=True),
        keep_completed=Keep(10, 60),
        keep_failed=Keep(),
        others={"failParentOnFailure": True, "keepLogs": 5},
    )
    assert encode_options(options) == {
        "priority": 2,
        "delay": 500,
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 1_000, "jitter": 0.5},
        "lifo": True,
        "de": {"id": "d", "ttl": 5_000, "extend": True, "replace": True},
        "removeOnComplete": {"count": 10, "age": 60},
        "removeOnFail": False,
        "fpof": True,
        "kl": 5,
    }


@pytest.mark.parametrize(
    ("written", "keep"),
    [
        (True, Keep(count=0)),
        (False, Keep()),
        (5, Keep(5)),
        (-1, Keep()),
        ({"age": 3_600}, Keep(age_s=3_600)),
        ({"count": 7, "age": 60.0, "limit": 100}, Keep(7, 60)),
        ("all", None),
    ],
)
def test_what_node_programs_say_of_finished_jobs_is_understood(written: object, keep: Keep | None) -> None:
    assert read_options(json.dumps({"removeOnComplete": written})).keep_completed == keep


def test_a_plain_number_is_a_fixed_backoff() -> None:
    assert read_options('{"backoff": 250, "attempts": 0}') == JobOptions(backoff=Backoff("fixed", 250))


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", "{", '{"attempts": "many", "backoff": [], "de": 5, "priority": null}']
)
def test_options_that_make_no_sense_count_as_left_out(text: str) -> None:
    assert read_options(text) == JobOptions()


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        (Keep(), {"count": -1}),
        (Keep(0), {"count": 0}),
        (Keep(5, 60), {"count": 5, "age": 60}),
        (Keep(age_s=9), {"age": 9}),
    ],
)
def test_scripts_are_told_what_stays(keep: Keep, told: dict[str, int]) -> None:
    assert keep_jobs(keep) == told


def test_a_hash_of_nodes_is_a_job() -> None:
    job = read_row(
        "7",
        [
            *("name", "paint", "data", '{"a":1}', "opts", '{"attempts":3}', "timestamp", "1700000000000"),
            *("ats", "2", "atm", "1", "stc", "1", "processedOn", "1700000000001.0", "pb", "node-1"),
            *("failedReason", "no", "stacktrace", '["one","two"]', "rjk", "every-hour", "parentKey", "bull:q:p"),
        ],
    )
    assert (job.id, job.name, job.data, job.options.attempts) == ("7", "paint", '{"a":1}', 3)
    assert (job.attempts_started, job.attempts_made, job.stalled, job.processed_ms) == (2, 1, 1, 1_700_000_000_001)
    assert (job.worker, job.failed_reason, job.stacktrace) == ("node-1", "no", ("one", "two"))
    assert (job.scheduler, job.parent, job.doomed) == ("every-hour", "bull:q:p", None)


def test_a_job_whose_data_is_gone_is_doomed() -> None:
    assert read_row("7", ["processedOn", "1700000000001"]).doomed is not None


def test_stacks_that_are_none_are_left_out() -> None:
    assert read_job("7", {"stacktrace": "oops"}).stacktrace == ()
    assert read_job("7", {"stacktrace": '[1, "one", null]'}).stacktrace == ("one",)
