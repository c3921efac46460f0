"""A webhook over real sockets, asked by a real client."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from actors.core.clock import ManualClock
from actors.core.errors import BackPressureError, StorageError
from actors.core.message import Outcome, Reply, Settlement
from actors.endpoints.webhook import Webhook
from actors.kit import signatures
from tests.loop import Run
from tests.stage import DEADLINE_S, DELIVERED, Played, Stage, stage

BODY = b'{"order": 7, "note": "\\u00e9"}'
DATA = {"order": 7, "note": "é"}


class Site:
    """A webhook at /hook on a stage, and a client of it."""

    def __init__(self, played: Stage, webhook: Played, client: aiohttp.ClientSession) -> None:
        self.stage = played
        self.outlet = played.outlet
        self.webhook = webhook
        self._client = client

    async def ask(
        self,
        body: bytes = BODY,
        /,
        method: str = "POST",
        content_type: str | None = "application/json",
        path: str = "/hook",
        **headers: str,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, decoded answer and headers; underscores in header names stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["Content-Type"] = content_type
        request = self._client.request(method, URL(f"{self.stage.url}{path}", encoded=True), data=body, headers=sent)
        async with asyncio.timeout(DEADLINE_S), request as answer:
            raw = await answer.read()
            is_json = answer.content_type.endswith("json")
            return answer.status, json.loads(raw) if is_json else raw, dict(answer.headers)

    def asking(self, body: bytes = BODY, /, **headers: str) -> asyncio.Task[tuple[int, Any, Mapping[str, str]]]:
        """As `ask`, while the test goes on."""
        return asyncio.create_task(self.ask(body, **headers))


@asynccontextmanager
async def site(options: Mapping[str, Any], clock: ManualClock | None = None) -> AsyncIterator[Site]:
    connector = aiohttp.TCPConnector(force_close=True)
    client = aiohttp.ClientSession(connector=connector, skip_auto_headers=["Content-Type"])
    async with stage(clock) as played, client:
        webhook = await played.start(Webhook, {"path": "/hook", **options}, name="orders")
        yield Site(played, webhook, client)


def scenario(**options: Any) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Run], None]]:
    """Make a test of a coroutine that is given the site of a webhook with these options."""

    def decorate(body: Callable[[Site], Awaitable[None]]) -> Callable[[Run], None]:
        def test(run: Run) -> None:
            async def main() -> None:
                async with site(options) as made:
                    await body(made)

            run(main())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


@scenario()
async def test_a_request_becomes_a_message(site: Site) -> None:
    """Its data is decoded, its source is the actor, and of its headers only the harmless come along."""
    site.outlet.settlement = DELIVERED
    await site.ask(X_Request_Id="r1", Authorization="Bearer t", Cookie="c=1", X_Other="x", traceparent="00-a-b-01")
    (message,) = site.outlet.messages
    assert (message.source, message.data, message.type) == ("orders", DATA, "message")
    assert message.headers == {"x-request-id": "r1"}
    assert (message.datacontenttype, message.traceparent) == ("application/json", "00-a-b-01")
    assert message.time == pytest.approx(site.stage.clock.time(), abs=DEADLINE_S)


@scenario(respond="accepted")
async def test_accepted_is_answered_when_the_message_is_safe(site: Site) -> None:
    """202 and not before: the sender waits while the journal commits, and no longer."""
    asking = site.asking(Idempotency_Key="k1")
    await site.stage.until(lambda: site.outlet.receipts)
    assert not asking.done()
    site.outlet.receipt.accept()
    assert (await asking)[:2] == (202, {"id": "k1", "status": "accepted"})
    site.outlet.receipt.settle(DELIVERED)


@scenario(respond="accepted")
async def test_what_cannot_be_made_safe_is_refused(site: Site) -> None:
    """503 with Retry-After where the commit failed: nothing was acknowledged."""
    asking = site.asking()
    await site.stage.until(lambda: site.outlet.receipts)
    site.outlet.receipt.refuse(StorageError("the disk is full", full=True))
    status, problem, headers = await asking
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "the disk is full" in problem["detail"]


@scenario(respond="delivered")
async def test_delivered_is_answered_when_the_message_has_ended(site: Site) -> None:
    """200 with its outcome; being safe is not enough."""
    asking = site.asking(webhook_id="w1")
    await site.stage.until(lambda: site.outlet.receipts)
    site.outlet.receipt.accept()
    await asyncio.sleep(0.01)
    assert not asking.done()
    site.outlet.receipt.settle(DELIVERED)
    assert (await asking)[:2] == (200, {"id": "w1", "outcome": "delivered"})


@pytest.mark.parametrize(
    ("outcome", "reason", "status"),
    [
        ("delivered", None, 200),
        ("filtered", None, 200),
        ("deduplicated", None, 200),
        ("merged", None, 200),
        ("dead_lettered", "connect: nobody is there", 502),
        ("dead_lettered", "invalid: no such order", 422),
        ("expired", None, 504),
        ("dropped", "the mailbox is full", 503),
    ],
)
def test_each_end_of_a_message_has_its_status(run: Run, outcome: Outcome, reason: str | None, status: int) -> None:
    """2xx for what the topology wants; the rest says why, as a problem."""

    async def main() -> None:
        async with site({"respond": "delivered"}) as made:
            made.outlet.settlement = Settlement(outcome, reason)
            answered, document, _ = await made.ask()
            assert (answered, document["outcome"]) == (status, outcome)
            assert reason is None or reason in document["detail"]

    run(main())


@pytest.mark.parametrize(("safe", "status"), [(True, 202), (False, 200)])
def test_without_a_word_the_routes_decide_when_to_answer(run: Run, safe: bool, status: int) -> None:
    """`accepted` where acceptance survives a kill, `delivered` where only delivery counts."""

    async def main() -> None:
        async with site({}) as made:
            made.outlet.safe = safe
            made.outlet.settlement = DELIVERED
            assert (await made.ask())[0] == status

    run(main())


@scenario(respond="reply")
async def test_a_reply_is_passed_on(site: Site) -> None:
    """Status, body and content type of the target's; headers about its own connection stay behind."""
    headers = {"x-thing": "1", "Transfer-Encoding": "chunked", "Set-Cookie": "a=b"}
    site.outlet.settlement = Settlement("delivered", reply=Reply({"a": 1}, headers, 201))
    status, document, given = await site.ask()
    assert (status, document, given["x-thing"]) == (201, {"a": 1}, "1")
    assert not {"Transfer-Encoding", "Set-Cookie"} & set(given)
    site.outlet.settlement = Settlement("delivered", reply="just text")
    status, text, given = await site.ask()
    assert (status, text, given["Content-Type"]) == (200, b"just text", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("x", {"x-thing": "a\r\nSet-Cookie: b=c"}),
        Reply("x", content_type="a/b\r\nSet-Cookie: b=c"),
        object(),
        Reply("x", status=100),
    ],
)
def test_a_reply_that_cannot_be_sent_is_a_502(run: Run, reply: object) -> None:
    """What would split the answer, or is no payload at all, never reaches the client."""

    async def main() -> None:
        async with site({"respond": "reply"}) as made:
            made.outlet.settlement = Settlement("delivered", reply=reply)
            status, _, headers = await made.ask()
            assert (status, "Set-Cookie" in headers) == (502, False)

    run(main())


@scenario(respond="reply")
async def test_a_message_without_a_reply_tells_its_outcome(site: Site) -> None:
    """Filtered, or sent to a target that answers nothing."""
    for outcome in ("filtered", "delivered"):
        site.outlet.settlement = Settlement(outcome)
        assert (await site.ask())[1]["outcome"] == outcome


def test_a_sender_does_not_wait_for_ever(run: Run) -> None:
    """504 at the deadline, which says that the message goes on; its late end harms nobody."""

    async def main() -> None:
        clock = ManualClock()
        async with site({"respond": "delivered", "timeout": "2s"}, clock) as made:
            first = made.asking(Idempotency_Key="first")
            await made.stage.until(lambda: len(made.outlet.receipts) == 1)
            await clock.advance(1)
            second = made.asking(Idempotency_Key="second")
            await made.stage.until(lambda: len(made.outlet.receipts) == 2)
            await clock.advance(1)
            status, problem, _ = await first
            assert (status, problem["id"]) == (504, "first")
            assert "may still be delivered" in problem["detail"]
            assert not second.done()
            for receipt in made.outlet.receipts:
                assert receipt is not None
                receipt.settle(DELIVERED)
            assert (await second)[0] == 200

    run(main())


@scenario(respond="delivered")
async def test_a_sender_that_goes_away_takes_nothing_with_it(site: Site) -> None:
    """The message was taken in, and ends as it would have."""
    asking = site.asking()
    await site.stage.until(lambda: site.outlet.receipts)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    site.outlet.receipt.settle(DELIVERED)
    site.outlet.settlement = DELIVERED
    assert (await site.ask())[0] == 200


@pytest.mark.parametrize(
    ("refusal", "retry_after"),
    [
        (BackPressureError("route a has no room", route="a", retry_after_s=2.1), "3"),
        (StorageError("the journal is full", full=True), "1"),
    ],
)
def test_without_room_a_sender_is_told_when_to_come_again(
    run: Run, refusal: BackPressureError | StorageError, retry_after: str
) -> None:
    """503 with Retry-After, at once: HTTP never waits."""

    async def main() -> None:
        async with site({}) as made:
            made.outlet.refusal = refusal
            status, problem, headers = await made.ask()
            assert (status, headers["Retry-After"]) == (503, retry_after)
            assert str(refusal) in problem["detail"]

    run(main())


@scenario(decode="json")
async def test_what_does_not_decode_is_answered_with_the_place(site: Site) -> None:
    """400 where it is not what it says, 415 where it says something else."""
    status, problem, _ = await site.ask(b'{"a": }')
    assert status == 400
    assert "line 1, column 7" in problem["detail"]
    assert (await site.ask(b"[" * 100_000))[0] == 400
    assert (await site.ask(b"a=1", content_type="application/x-www-form-urlencoded"))[0] == 415
    assert (await site.ask(b"{}", content_type=None))[0] == 415
    assert not site.outlet.messages


@scenario(decode="json")
async def test_json_has_many_media_types(site: Site) -> None:
    """With parameters, in any case, and with a `+json` suffix."""
    site.outlet.settlement = DELIVERED
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"):
        assert (await site.ask(content_type=content_type))[0] == 200


@scenario(content_types=["text/csv"])
async def test_media_types_may_be_named(site: Site) -> None:
    """Others are 415, before the body is looked at."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(b"a,b", content_type="text/csv; header=absent"))[0] == 200
    assert site.outlet.messages[0].data == "a,b"
    assert (await site.ask())[0] == 415


@scenario(max_body="1KiB")
async def test_a_body_has_a_limit_compressed_or_not(site: Site) -> None:
    """413 for a byte too many, also where it only shows when it is unfolded."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(b'"' + b"x" * 1022 + b'"'))[0] == 200
    status, problem, _ = await site.ask(b'"' + b"x" * 1023 + b'"')
    assert (status, problem["detail"]) == (413, "a body may have 1KiB")
    assert (await site.ask(gzip.compress(b'"' + b"x" * 1022 + b'"'), Content_Encoding="gzip"))[0] == 200
    status, problem, _ = await site.ask(gzip.compress(b'"' + b"x" * 1023 + b'"'), Content_Encoding="gzip")
    assert (status, problem["detail"]) == (413, "more than 1KiB when unfolded")
    assert (await site.ask(b"not gzip", Content_Encoding="gzip"))[0] == 400
    status, _, headers = await site.ask(b"x", Content_Encoding="br")
    assert (status, headers["Accept-Encoding"]) == (415, "gzip, deflate")


@scenario(
    path="/shops/{shop}/orders/{order_id}",
    headers=["x-request-id"],
    subject="{{ headers.order_id }}",
    key="{{ headers.shop }}",
)
async def test_the_parameters_of_the_path_are_headers_of_the_message(site: Site) -> None:
    """Decoded, and there for templates; a request's header of the same name is another one."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(path="/shops/n%C3%BA%201/orders/7", X_Request_Id="r1", shop="other"))[0] == 200
    (message,) = site.outlet.messages
    assert message.headers == {"x-request-id": "r1", "shop": "nú 1", "order_id": "7"}
    assert (message.subject, message.key) == ("7", "nú 1")
    assert (await site.ask(path="/shops/a/orders/"))[0] == 404


@scenario(methods=["PUT", "GET"])
async def test_only_its_methods_are_taken(site: Site) -> None:
    """405 names them."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(method="PUT"))[0] == 200
    assert (await site.ask(b"", method="GET", content_type=None))[0] == 200
    status, _, headers = await site.ask()
    assert (status, headers["Allow"]) == (405, "GET, PUT")


@scenario(
    id="{{ data.order }}-{{ headers['x-kind'] }}",
    key="{{ data.note }}",
    message_type="order.{{ headers['x-kind'] }}",
    subject="{{ data.order }}",
    headers=["X-Kind"],
)
async def test_a_message_can_be_made_out_of_the_request(site: Site) -> None:
    """Templates see the data and the headers that come along."""
    site.outlet.settlement = DELIVERED
    status, document, _ = await site.ask(X_Kind="new", Idempotency_Key="other")
    (message,) = site.outlet.messages
    assert (status, document["id"]) == (200, "7-new")
    assert (message.id, message.key, message.type, message.subject) == ("7-new", "é", "order.new", "7")


@scenario(id="{{ data.missing }}")
async def test_a_request_that_lacks_what_a_template_needs_is_refused(site: Site) -> None:
    """400, which names the field."""
    status, problem, _ = await site.ask()
    assert status == 400
    assert "missing" in problem["detail"]
    assert not site.outlet.messages


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Idempotency_Key": "k"}, "k"),
        ({"Idempotency_Key": '"quoted"'}, "quoted"),
        ({"webhook_id": "w"}, "w"),
        ({"Idempotency_Key": "k", "webhook_id": "w"}, "k"),
    ],
)
def test_an_id_comes_with_the_request_where_it_has_one(run: Run, headers: dict[str, str], expected: str) -> None:
    """So that a sender's own repetitions bear the same one."""

    async def main() -> None:
        async with site({}) as made:
            made.outlet.settlement = DELIVERED
            await made.ask(**headers)
            assert made.outlet.messages[0].id == expected

    run(main())


@scenario()
async def test_an_id_is_made_where_the_request_has_none(site: Site) -> None:
    """Two requests are two messages."""
    site.outlet.settlement = DELIVERED
    await site.ask()
    await site.ask(Idempotency_Key='""')
    first, second = site.outlet.messages
    assert first.id
    assert second.id
    assert first.id != second.id


@scenario()
async def test_an_id_that_is_too_long_is_refused(site: Site) -> None:
    """It would be a key of the journal, of queues and of headers further on."""
    assert (await site.ask(Idempotency_Key="k" * 256))[0] == 400


@scenario()
async def test_a_cloud_event_in_headers_keeps_its_attributes(site: Site) -> None:
    """Binary mode: the body is its data, whatever its content type."""
    site.outlet.settlement = DELIVERED
    await site.ask(
        ce_specversion="1.0",
        ce_id="e1",
        ce_source="/shop%20x",
        ce_type="order.made",
        ce_subject="7",
        ce_partitionkey="p",
        ce_replyto="elsewhere",
        ce_custom="c",
    )
    (message,) = site.outlet.messages
    assert (message.id, message.type, message.subject, message.key) == ("e1", "order.made", "7", "p")
    assert (message.source, message.replyto, message.data) == ("orders", None, DATA)
    assert message.headers == {"ce-source": "/shop x", "ce-custom": "c"}
    assert (await site.ask(ce_specversion="1.0", ce_id="e1"))[0] == 400


@scenario(decode="json")
async def test_a_cloud_event_in_a_document_keeps_its_attributes(site: Site) -> None:
    """Structured mode: attributes and data in one JSON object."""
    site.outlet.settlement = DELIVERED
    document = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "t", "subject": "s", "data": DATA}
    await site.ask(json.dumps(document).encode(), content_type="application/cloudevents+json; charset=utf-8")
    (message,) = site.outlet.messages
    assert (message.id, message.type, message.subject, message.data) == ("e1", "t", "s", DATA)
    assert (await site.ask(b"[]", content_type="application/cloudevents+json"))[0] == 400


SECRET = "s3cret"  # the test's own
HMAC = {"hmac": {"secret": SECRET, "header": "X-Signature"}}


def signed(body: bytes = BODY, secret: str = SECRET) -> str:
    return "sha256=" + signatures.sign_hmac(secret.encode(), body)


@scenario(verify=HMAC, decode="json")
async def test_a_signature_lets_in_what_it_signs_and_nothing_else(site: Site) -> None:
    """Over the raw body, before it is parsed: the same JSON written anew is another body."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(X_Signature=signed()))[0] == 200
    forged = [
        (BODY, {}),
        (BODY, {"X_Signature": ""}),
        (BODY, {"X_Signature": signed(secret="other")}),
        (BODY, {"X_Signature": signed().removeprefix("sha256=")}),
        (BODY, {"X_Signature": "sha1=" + "0" * 40}),
        (BODY[:-1] + b" }", {"X_Signature": signed()}),
        (json.dumps(DATA, ensure_ascii=False).encode(), {"X_Signature": signed()}),
        (b"{not json", {"X_Signature": signed()}),
        (BODY, {"X_Signature": "sha256=é"}),
    ]
    for body, headers in forged:
        status, problem, given = await site.ask(body, **headers)
        assert (status, given["WWW-Authenticate"].split()[0]) == (401, "Signature")
        assert SECRET not in str(problem)
    assert len(site.outlet.messages) == 1
    assert "x-signature" not in site.outlet.messages[0].headers


@scenario(verify={"hmac": {"secret": [SECRET, "next"], "header": "X-S", "timestamp": {"header": "X-T"}}})
async def test_a_signed_time_keeps_old_requests_out(site: Site) -> None:
    """Stale and future times are refused, and so is a time that was not the signed one."""
    site.outlet.settlement = DELIVERED
    now = int(site.stage.clock.time())

    def proof(at: int, secret: str = SECRET) -> str:
        return "sha256=" + signatures.sign_timestamped_hmac(secret.encode(), BODY, str(at))

    assert (await site.ask(X_S=proof(now), X_T=str(now)))[0] == 200
    assert (await site.ask(X_S=proof(now, "next"), X_T=str(now)))[0] == 200
    assert (await site.ask(X_S=proof(now - 400), X_T=str(now - 400)))[0] == 401
    assert (await site.ask(X_S=proof(now + 400), X_T=str(now + 400)))[0] == 401
    assert (await site.ask(X_S=proof(now), X_T=str(now + 1)))[0] == 401
    assert (await site.ask(X_S=proof(now)))[0] == 401


@scenario(verify={"bearer": ["one", "two"]})
async def test_a_bearer_token_lets_in(site: Site) -> None:
    """Any of them; and nothing of it is handed on."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(Authorization="Bearer two"))[0] == 200
    for wrong in ("Bearer three", "Bearer ", "Basic two", "two", ""):
        status, _, given = await site.ask(Authorization=wrong)
        assert (status, given["WWW-Authenticate"]) == (401, "Bearer")
    assert (await site.ask())[0] == 401


@scenario(verify={"basic": {"ann": "pw"}})
async def test_a_password_lets_in(site: Site) -> None:
    """User and password belong together."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask(Authorization=aiohttp.encode_basic_auth("ann", "pw")))[0] == 200
    for user, password in (("ann", "x"), ("bob", "pw"), ("", "")):
        status, _, given = await site.ask(Authorization=aiohttp.encode_basic_auth(user, password))
        assert (status, given["WWW-Authenticate"].split()[0]) == (401, "Basic")


@scenario(verify={"bearer": "t"}, decode="json", max_body="1KiB")
async def test_proof_comes_before_anything_else(site: Site) -> None:
    """A stranger learns nothing from how a body is refused."""
    for body, headers in ((b"{", {}), (b"x", {"content_type": "text/csv"}), (b"x", {"Content_Encoding": "br"})):
        assert (await site.ask(body, **headers))[0] == 401


@scenario(respond="delivered")
async def test_a_draining_webhook_takes_nothing_in_and_answers_what_it_took(site: Site) -> None:
    """503 for the new, an answer for the old."""
    asking = site.asking()
    await site.stage.until(lambda: site.outlet.receipts)
    await site.webhook.drain()
    status, _, headers = await site.ask()
    assert (status, headers["Retry-After"]) == (503, "1")
    site.outlet.receipt.settle(DELIVERED)
    assert (await asking)[0] == 200
    assert len(site.outlet.messages) == 1


@scenario(respond="delivered")
async def test_a_stopped_webhook_leaves_nobody_waiting(site: Site) -> None:
    """Whoever still waits hears that the message may arrive; the path is free again."""
    asking = site.asking()
    await site.stage.until(lambda: site.outlet.receipts)
    await site.webhook.stop()
    status, problem, _ = await asking
    assert status == 503
    assert "may still be delivered" in problem["detail"]
    assert (await site.ask())[0] == 404
    await site.stage.start(Webhook, {"path": "/hook"}, name="another")


@scenario(accepted_status=200, respond="accepted")
async def test_a_sender_that_knows_only_200_gets_it(site: Site) -> None:
    """Some give up a webhook that answers 202."""
    site.outlet.settlement = DELIVERED
    assert (await site.ask())[0] == 200
