"""The command line: `start` runs a router, and nearly all other commands are clients of its control API."""
