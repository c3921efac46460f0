"""A `postgres` target and a real PostgreSQL: rows, tables, and what they refuse."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from actors.connections.postgres.values import uuid_of
from actors.core.errors import DeliveryError
from actors.core.events import Notice
from actors.core.message import Message
from actors.endpoints.postgres import Postgres
from router.catalog import Catalog
from router.engine import Engine
from router.topology.check import check
from router.topology.problems import render
from tests.loop import Run
from tests.postgres_rows import EVENTS, PRESET, TABLE, event, outcomes, playing, rows
from tests.postgresql import PostgresServer

pytestmark = pytest.mark.needs("postgres", "initdb")

DEADLINE_S = 20.0


class TestRows:
    def test_a_message_is_a_row_when_it_is_delivered(self, run: Run, postgres: PostgresServer) -> None:
        """And one that is delivered again is no second one."""
        postgres.ask(TABLE)

        async def main() -> None:
            async with playing(postgres, EVENTS) as (_, actor):
                for _ in range(2):
                    await actor.deliver(event(7))
                    assert postgres.ask("SELECT * FROM events") == [("m7", 7)]

        run(main())

    def test_values_take_the_form_of_their_columns(self, run: Run, postgres: PostgresServer) -> None:
        """Whatever the names are called, in upper and lower case."""
        postgres.ask('CREATE SCHEMA "Log"')
        postgres.ask(
            'CREATE TABLE "Log"."it%s" (id uuid PRIMARY KEY, "a ""b%" jsonb, at timestamptz, day date, big bigint,'
            " part numeric, yes boolean, raw bytea, tags text[], said varchar(20))"
        )
        columns = {
            "id": "{{ message.id }}",
            'a "b%': "{{ data }}",
            "at": "{{ data.at }}",
            "day": "2026-11-22",
            "big": "{{ data.big }}",
            "part": 1.5,
            "yes": "{{ data.yes }}",
            "raw": "{{ data.said }}",
            "tags": "{{ data.tags }}",
            "said": "{{ data.said }}",
        }
        data = {"at": 86400, "big": 2**40, "yes": True, "tags": ["a", 'b"\\,', None], "said": "ñ'; DROP"}

        async def main() -> None:
            async with playing(postgres, {"connection": "db", "table": "Log.it%s", "columns": columns}) as (_, actor):
                await actor.deliver(Message("m1", "it", data))
                await outcomes(actor, [Message(f"m{number}", "it", data) for number in range(1, 9)])

        run(main())
        found = postgres.ask(
            """SELECT *, at = to_timestamp(86400) AS same FROM "Log"."it%s" ORDER BY id = %s DESC""".replace(
                "it%s", "it%%s"
            ),
            uuid_of("m1"),
        )
        assert len(found) == 8
        id_, kept, _, day, big, part, yes, raw, tags, said, same = found[0]
        assert (str(id_), kept, str(day), big, float(part)) == (uuid_of("m1"), data, "2026-11-22", 2**40, 1.5)
        assert (yes, raw, tags, said, same) == (True, "ñ'; DROP".encode(), data["tags"], data["said"], True)

    def test_what_comes_together_is_committed_together(self, run: Run, postgres: PostgresServer) -> None:
        """While one commit is under way the others gather."""
        postgres.ask(TABLE)

        async def main() -> None:
            async with playing(postgres, EVENTS) as (_, actor):
                assert set(await outcomes(actor, [event(number) for number in range(900)])) == {"done"}
                assert isinstance(actor.actor, Postgres)
                about = actor.actor.about()
                assert about["rows"] == 900
                assert int(about["commits"]) <= 20

        run(main())
        assert rows(postgres) == 900

    def test_a_bad_row_fails_alone(self, run: Run, postgres: PostgresServer) -> None:
        """Those that came with it are written; no repetition would change the bad ones."""
        postgres.ask(TABLE)
        bad: dict[int, Any] = {3: "no number", 50: 5000, 51: 2**70, 99: [1]}

        async def main() -> None:
            async with playing(postgres, EVENTS) as (_, actor):
                found = await outcomes(actor, [event(number, bad.get(number)) for number in range(100)])
                assert {number for number, outcome in enumerate(found) if outcome != "done"} == set(bad)
                assert {found[number] for number in bad} == {"refused for good"}

        run(main())
        assert rows(postgres) == 96

    def test_what_json_and_text_cannot_hold_is_replaced(self, run: Run, postgres: PostgresServer) -> None:
        """NUL and half of a surrogate pair, which PostgreSQL refuses; a message of bytes is text or base64."""

        async def main() -> None:
            async with playing(postgres, PRESET) as (_, actor):
                for number, data in enumerate(
                    ("a\0b", {"\0": ["\ud800", "\\u0000"]}, b"text", b"\xff", float("inf"), None)
                ):
                    await actor.deliver(Message(f"\0{number}", "it", data))

        run(main())
        found = postgres.ask("SELECT payload, message_id FROM failed_webhooks ORDER BY message_id")
        assert [payload for payload, _ in found] == [
            "a�b",
            {"�": ["�", "\\u0000"]},
            "text",
            {"base64": "/w=="},
            "Infinity",
            None,
        ]
        assert found[0][1] == "�0"

    def test_a_known_key_is_refused_where_the_topology_says_so(self, run: Run, postgres: PostgresServer) -> None:
        """`on_conflict: fail`, and every unique index but the primary key."""
        postgres.ask(TABLE)
        postgres.ask("CREATE UNIQUE INDEX ON events (n)")

        async def main() -> None:
            async with playing(postgres, {**EVENTS, "on_conflict": "fail"}) as (_, actor):
                assert await outcomes(actor, [event(1)]) == ["done"]
                assert await outcomes(actor, [event(1), event(2)]) == ["refused for good", "done"]
            async with playing(postgres, EVENTS) as (_, actor):
                assert await outcomes(actor, [event(1), event(3, n=2)]) == ["done", "refused for good"]

        run(main())

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [("53100", "overload"), ("40P01", "refused"), ("40001", "refused"), ("P0001", "refused for good")],
    )
    def test_what_the_server_says_decides_about_a_repetition(
        self, run: Run, postgres: PostgresServer, code: str, outcome: str
    ) -> None:
        """A full disk and a deadlock pass; what a trigger raises does not."""
        postgres.ask(TABLE)
        postgres.ask(
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        )
        postgres.ask("CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()")

        async def main() -> None:
            async with playing(postgres, EVENTS) as (_, actor):
                assert await outcomes(actor, [event(1), event(2)]) == [outcome] * 2

        run(main())


class TestTheTable:
    def test_a_presets_table_is_made_once(self, run: Run, postgres: PostgresServer) -> None:
        """With its indexes, under the name that the topology gives it, by whoever comes first of several."""
        postgres.ask("CREATE SCHEMA audit")
        options = {**PRESET, "table": "audit.Failed"}

        async def main() -> None:
            async with playing(postgres, options) as (first, _), playing(postgres, options) as (second, _):
                made = [each for each in (*first.emitted, *second.emitted) if isinstance(each, Notice)]
                assert [notice.text for notice in made] == ["it: the table audit.Failed was made"]

        run(main())
        found = postgres.ask("SELECT indexdef FROM pg_indexes WHERE schemaname = 'audit' AND tablename = 'Failed'")
        assert sorted(each[0].rpartition("(")[2] for each in found) == [
            "created_at)",
            "id)",
            "message_id)",
            "request_id)",
        ]

    def test_a_table_that_is_missing_is_a_target_that_is_away(self, run: Run, postgres: PostgresServer) -> None:
        """Nothing is dead-lettered for it; and it says what is wrong."""

        async def main() -> None:
            async with playing(postgres, EVENTS) as (played, actor):
                assert played.standing.why == "there is no table events"
                with pytest.raises(DeliveryError, match="no table") as refusal:
                    await actor.deliver(event(1))
                assert (refusal.value.reason, refusal.value.retryable) == ("connect", True)

        run(main())

    def test_columns_that_do_not_fit_are_told(self, run: Run, postgres: PostgresServer) -> None:
        """All of them at once."""
        postgres.ask("CREATE TABLE events (id text, must text NOT NULL, m integer GENERATED ALWAYS AS (1) STORED)")

        async def main() -> None:
            async with playing(postgres, {**EVENTS, "columns": {"id": "x", "m": 1, "no": 1}}) as (played, _):
                why = played.standing.why or ""
                assert all(each in why for each in ("no column 'no'", "a value for 'must'", "makes 'm' itself"))

        run(main())

    def test_a_table_that_is_dropped_and_made_again_is_found_again(self, run: Run, postgres: PostgresServer) -> None:
        """What was under way is a failed attempt, and worth another one."""

        async def main() -> None:
            async with playing(postgres, PRESET) as (played, actor):
                postgres.ask("DROP TABLE failed_webhooks")
                assert await outcomes(actor, [Message("1", "it", {})]) == ["refused"]
                await played.until(lambda: not played.standing.away)
                assert await outcomes(actor, [Message("1", "it", {})]) == ["done"]

        run(main())
        assert rows(postgres, "failed_webhooks") == 1


DEAD_LETTERS = """
router: 1
name: test
connections:
  db: {type: postgres, url: "%s"}
actors:
  in: {type: timer, every: 365d}
  out: {type: log}
  failed: {type: postgres, connection: db, preset: failed_webhooks, create: true}
routes:
  r: {from: in, to: {match: [{when: "data.ok", to: out}]}, dead_letter: failed, durable: true}
"""


def test_dead_letters_of_a_route_become_rows(run: Run, postgres: PostgresServer, tmp_path: Path) -> None:
    """With what happened, from the headers that they get; the node's own store stays empty."""

    async def main() -> None:
        text = DEAD_LETTERS % postgres.url()
        topology, problems = check(text, path=tmp_path / "t.yaml", catalog=Catalog.installed(), environ={})
        assert topology is not None, "\n".join(map(render, problems))
        engine = Engine(topology, state_dir=tmp_path / "state")
        await engine.start()
        try:
            message = Message("wamid.1", "in", {"ok": False, "text": "¡hola!"}, {"x-request-id": "r-1"})
            settlement = await engine.inject("in", message, wait=True, timeout_s=DEADLINE_S)
            assert settlement is not None
            assert settlement.outcome == "dead_lettered"
            assert not engine.dead_letters.count()
        finally:
            await engine.stop()

    run(main())
    (row,) = postgres.ask("SELECT id, request_id, payload, message_id, error_message, error_stack FROM failed_webhooks")
    id_, request_id, payload, message_id, error, stack = row
    assert (id_, request_id, message_id) == (uuid.UUID(uuid_of("wamid.1")), "r-1", "wamid.1")
    assert payload == {"ok": False, "text": "¡hola!"}
    assert error.startswith("unroutable: ")
    assert stack.splitlines()[:2] == ["route: r", "source: in"]
