"""What `router doctor` finds of a PostgreSQL and of its tables."""

from pathlib import Path
from typing import Any

import pytest

from actors.connections.postgres.examination import examine_connection, examine_table
from actors.connections.postgres.options import PostgresConnectionOptions
from actors.connections.postgres.table import TableName
from actors.core.clock import LoopClock
from actors.core.examination import ExamineContext, Finding
from tests.certificates import self_signed
from tests.loop import Run
from tests.postgresql import OWNER, PostgresServer

pytestmark = pytest.mark.needs("postgres", "initdb")


class TestDoctor:
    def examine(self, run: Run, url: str, tmp_path: Path, **options: Any) -> list[Finding]:
        async def main() -> list[Finding]:
            context = ExamineContext("db", LoopClock(), tmp_path, tmp_path, {})
            made = PostgresConnectionOptions.model_validate({"url": url, **options})
            return list(await examine_connection(made, context))

        return run(main())

    def test_a_server_that_lets_the_router_in(self, run: Run, postgres: PostgresServer, tmp_path: Path) -> None:
        reached, found = self.examine(run, postgres.url(), tmp_path)
        assert (reached.level, found.level) == ("ok", "ok")
        assert found.text.startswith("PostgreSQL ")
        assert "without TLS" in found.text

    def test_a_wrong_login_is_told_without_it(self, run: Run, postgres: PostgresServer, tmp_path: Path) -> None:
        found = self.examine(run, postgres.url(password="wrong"), tmp_path)[-1]
        assert (found.level, found.advice) == ("problem", "correct user and password")
        assert "wrong" not in found.text
        assert OWNER not in found.text

    def test_a_database_that_is_not_there(self, run: Run, postgres: PostgresServer, tmp_path: Path) -> None:
        found = self.examine(run, postgres.url(database="nowhere"), tmp_path)[-1]
        assert found.level == "problem"
        assert "database" in found.advice

    def test_nobody_listens(self, run: Run, tmp_path: Path, free_port: int) -> None:
        (found,) = self.examine(run, f"postgresql://127.0.0.1:{free_port}/x", tmp_path)
        assert found.text == f"nobody listens at 127.0.0.1:{free_port}"

    def test_tls_by_the_urls_word(self, run: Run, tmp_path: Path) -> None:
        """`verify-full` trusts the authority that `tls.ca` names, and no other."""
        cert, key = self_signed(tmp_path)
        (tmp_path / "other").mkdir()
        self_signed(tmp_path / "other")
        with PostgresServer(tls=(cert, key)) as secured:
            url = f"{secured.url()}?sslmode=verify-full"
            found = self.examine(run, url, tmp_path, tls={"ca": "cert.pem"})[-1]
            assert (found.level, "with TLS" in found.text) == ("ok", True)
            found = self.examine(run, url, tmp_path, tls={"ca": "other/cert.pem"})[-1]
            assert found.level == "problem"
            assert "certificate" in found.advice

    def test_tables_and_what_may_be_done_with_them(self, run: Run, postgres: PostgresServer, tmp_path: Path) -> None:
        """As a user who may do little."""
        postgres.ask("DROP ROLE IF EXISTS clerk")
        postgres.ask("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
        postgres.ask("CREATE TABLE open (id text PRIMARY KEY, a text)")
        postgres.ask("GRANT INSERT (id) ON open TO clerk")
        postgres.ask("CREATE TABLE keyless (id text)")
        postgres.ask("GRANT INSERT ON keyless TO clerk")

        def look(table: str, *columns: str, create: bool = False) -> list[tuple[str, str]]:
            async def main() -> list[tuple[str, str]]:
                context = ExamineContext("t", LoopClock(), tmp_path, tmp_path, {})
                options = PostgresConnectionOptions(url=postgres.url("clerk", "clerk"))
                name = TableName.parse(table)
                found = await examine_table(options, context, name, columns, create=create, ignores_known=True)
                return [(each.level, each.text) for each in found]

            return run(main())

        assert [level for level, _ in look("open", "id")] == ["ok"]
        assert look("open", "id", "a") == [("problem", "the table open does not let this user write 'a'")]
        assert look("open", "id", "b") == [("problem", "the table open has no column 'b'")]
        assert [level for level, _ in look("keyless", "id")] == ["ok", "warning"]
        assert look("nothing", "id") == [("problem", "there is no table nothing")]
        assert look("nothing", "id", create=True)[0][0] == "problem"
        postgres.ask("GRANT CREATE ON SCHEMA public TO clerk")
        assert look("nothing", "id", create=True) == [("ok", "there is no table nothing yet; a start makes it")]
        postgres.ask("DROP OWNED BY clerk")
        postgres.ask("DROP ROLE clerk")
