"""The actor model: messages, mailboxes, actors and their supervision, on pykka."""
