"""What an MQTT actor has published and consumed, and how long the broker took: plain numbers, read when asked for."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes that latencies are counted in; the last class has none."""


class Traffic:
    """The counts of one actor by name. They belong to its connection, so that a restart of the actor keeps them."""

    __slots__ = ("connection", "consumed", "latencies", "latency_sum_s", "published")

    def __init__(self, connection: str) -> None:
        self.connection = connection
        self.published = 0
        """Messages that the broker has acknowledged; QoS 0: that were sent. Not those that it was sent again."""
        self.consumed = 0
        """Messages that have arrived; one that the broker sent again over a new connection counts again where it
        was handed on again."""
        self.latencies = [0] * (len(BOUNDS_S) + 1)
        """How many publishes were acknowledged within each class."""
        self.latency_sum_s = 0.0

    def acknowledged(self, took_s: float) -> None:
        """The broker has acknowledged a publish, `took_s` after the actor was given it."""
        self.published += 1
        self.latency_sum_s += took_s
        self.latencies[bisect_left(BOUNDS_S, took_s)] += 1
