"""What decides which actors run and where messages go."""

from actors import __version__

__all__ = ["__version__"]
