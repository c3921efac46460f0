"""PostgreSQL connections, and rows that go in together."""

from actors.connections.postgres.connection import PostgresConnection

__all__ = ["PostgresConnection"]
