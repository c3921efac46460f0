"""What a router keeps on disk, in one database of one directory: messages, revisions, the audit log, pauses."""
