"""Queues in the database of the process that uses them: durable when told, and a million jobs long."""
