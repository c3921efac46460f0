"""Where messages go: route actors, their deliveries, and the ledger that proves nothing was lost."""
