"""Queues in Redis, in the format of BullMQ, whose own scripts move the jobs."""

from actors.queues.bullmq.queue import bullmq_queue

__all__ = ["bullmq_queue"]
