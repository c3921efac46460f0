"""Redis connections."""

from actors.connections.redis.connection import RedisConnection

__all__ = ["RedisConnection"]
