"""The tables of queues, and what is kept of them in memory as long as the process runs."""

from __future__ import annotations

from typing import Final

# States of jobs, in the order in which they are claimed.
WAITING: Final = 0
PRIORITIZED: Final = 1
PARKED: Final = 2
DELAYED: Final = 3
ACTIVE: Final = 4
COMPLETED: Final = 5
FAILED: Final = 6

TABLES: Final = """
CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0,
    limited_until_ms INTEGER NOT NULL DEFAULT 0,
    limited INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE queue_jobs (
    row INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    scheduled INTEGER NOT NULL DEFAULT 0,
    holds INTEGER NOT NULL DEFAULT 0,
    attempts_made INTEGER NOT NULL DEFAULT 0,
    attempts_started INTEGER NOT NULL DEFAULT 0,
    stalled INTEGER NOT NULL DEFAULT 0,
    processed_ms INTEGER,
    finished_ms INTEGER,
    key TEXT,
    worker TEXT,
    failed_reason TEXT,
    stacktrace TEXT,
    return_value TEXT,
    progress TEXT,
    done TEXT,
    doomed TEXT
);
CREATE INDEX queue_jobs_in_order ON queue_jobs (queue, state, rank, place);
CREATE INDEX queue_jobs_holding ON queue_jobs (queue, key) WHERE holds = 1;
CREATE INDEX queue_jobs_parked ON queue_jobs (queue, key, place) WHERE state = 2;
CREATE TABLE queue_payloads (
    row INTEGER PRIMARY KEY,
    fixed TEXT NOT NULL,
    envelope TEXT,
    data TEXT NOT NULL
);
CREATE TABLE queue_logs (
    row INTEGER NOT NULL,
    number INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (row, number)
) WITHOUT ROWID;
CREATE TABLE queue_deduplications (
    queue INTEGER NOT NULL,
    id TEXT NOT NULL,
    job TEXT NOT NULL,
    expires_ms INTEGER,
    next TEXT,
    PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX queue_deduplications_by_expiry ON queue_deduplications (queue, expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE queue_schedulers (
    queue INTEGER NOT NULL,
    id TEXT NOT NULL,
    definition TEXT NOT NULL,
    shift_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    PRIMARY KEY (queue, id)
) WITHOUT ROWID;
"""
"""A job's `rank` and `place` order it among those of its state: by priority, by time. Payloads lie apart, so that
what is learnt at the start, and changed while a job goes its way, is small."""

SESSION: Final = """
CREATE TEMP TABLE queue_ids (hash INTEGER PRIMARY KEY, row INTEGER NOT NULL);
INSERT INTO queue_ids SELECT hash, row FROM queue_jobs ORDER BY hash;
CREATE TEMP TABLE queue_counts (
    queue INTEGER NOT NULL, state INTEGER NOT NULL, jobs INTEGER NOT NULL, PRIMARY KEY (queue, state)
) WITHOUT ROWID;
INSERT INTO queue_counts SELECT queue, state, count(*) FROM queue_jobs GROUP BY queue, state;

CREATE TEMP VIEW new_queue_jobs AS
    SELECT row, queue, state, rank, place, hash, priority, timestamp_ms, scheduled, key, fixed, envelope, data
    FROM queue_jobs JOIN queue_payloads USING (row);
CREATE TEMP TRIGGER queue_job_comes INSTEAD OF INSERT ON new_queue_jobs BEGIN
    INSERT OR IGNORE INTO queue_ids (hash, row) VALUES (new.hash, new.row);
    SELECT RAISE(IGNORE) WHERE changes() = 0;
    INSERT INTO queue_jobs (row, queue, state, rank, place, hash, priority, timestamp_ms, scheduled, key)
        VALUES (new.row, new.queue, new.state, new.rank, new.place, new.hash, new.priority, new.timestamp_ms,
            new.scheduled, new.key);
    INSERT INTO queue_payloads (row, fixed, envelope, data) VALUES (new.row, new.fixed, new.envelope, new.data);
    INSERT INTO queue_counts (queue, state, jobs) VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TEMP TRIGGER queue_job_moves AFTER UPDATE OF state ON queue_jobs WHEN old.state <> new.state BEGIN
    UPDATE queue_counts SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
    INSERT INTO queue_counts (queue, state, jobs) VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TEMP TRIGGER queue_job_goes AFTER DELETE ON queue_jobs BEGIN
    DELETE FROM queue_payloads WHERE row = old.row;
    DELETE FROM queue_logs WHERE row = old.row;
    DELETE FROM queue_ids WHERE hash = old.hash AND row = old.row;
    UPDATE queue_counts SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
END;
"""
"""An index of a million ids would be written all over with each job, so that is kept in memory, with the counts: they
change within each transaction, and are undone with it. A job whose id is there is left out as it comes."""
