"""Brokers in the house: started, supervised and stopped with the router, as child processes of it."""
