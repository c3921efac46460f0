"""Every exception that is raised on purpose has its status; of a defect nothing is told."""

from __future__ import annotations

import pytest

from actors.core.errors import (
    ActorStoppedError,
    BackPressureError,
    ControlError,
    DeliveryError,
    MailboxFullError,
    RouterError,
    StorageError,
)
from router.control.problem import Mistake, RequestError, UnknownError, problem_of


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (RequestError(Mistake("limit", "is wrong")), 400, None),
        (RequestError(Mistake("", "is no JSON"), status=415), 415, None),
        (UnknownError("actor", "x"), 404, None),
        (ControlError("it is being replayed already"), 409, None),
        (BackPressureError("full", route="r", retry_after_s=4.2), 503, "5"),
        (MailboxFullError(actor="a", capacity=1), 503, "1"),
        (StorageError("the disk is full", full=True), 503, "10"),
        (ActorStoppedError("gone", actor="a"), 503, None),
        (RouterError("the router stops"), 503, None),
        (DeliveryError("no"), 502, None),
        (DeliveryError("later", retry_after_s=0.1), 502, "1"),
        (TimeoutError("too long"), 504, None),
    ],
)
def test_an_error_has_its_status(error: Exception, status: int, retry_after: str | None) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert (problem.status, problem.headers.get("Retry-After")) == (status, retry_after)
    document = problem.as_dict()
    assert (document["type"], document["status"], document["detail"]) == ("about:blank", status, str(error))
    assert document["title"]


@pytest.mark.parametrize("error", [RuntimeError("a secret"), KeyError("x"), OSError("disk")])
def test_a_defect_is_no_problem_of_the_asker(error: Exception) -> None:
    assert problem_of(error) is None


def test_an_unknown_name_suggests_the_nearest() -> None:
    problem = problem_of(UnknownError("actor or route", "oders", ["orders", "invoices"]))
    assert problem is not None
    assert problem.members == {"name": "oders", "suggestion": "did you mean 'orders'?"}


def test_credentials_in_urls_do_not_leave() -> None:
    problem = problem_of(DeliveryError("http://me:hunter2@host is away"))
    assert problem is not None
    assert problem.detail == "http://***@host is away"


def test_a_timeout_without_words_gets_some() -> None:
    problem = problem_of(TimeoutError())
    assert problem is not None
    assert problem.detail == "it took too long"
