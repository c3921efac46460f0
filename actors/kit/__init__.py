"""Small tools for the other rooms: units, expressions, codecs, signatures, secrets, backoff, and SQLite."""
