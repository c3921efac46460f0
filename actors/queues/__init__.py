"""The durable mailbox: one contract, and its stores."""
