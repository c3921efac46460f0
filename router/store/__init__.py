"""What a router keeps on disk: journal, dead letters and reservations, in one database of one directory."""
