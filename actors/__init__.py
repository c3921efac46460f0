"""What runs: the actor model and everything that is an actor."""

__version__ = "0.1.0"
