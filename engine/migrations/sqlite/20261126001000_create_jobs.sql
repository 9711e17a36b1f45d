-- What is due: one row a job. Written by the engine alone, for projections that schedule jobs, units, and workers.
CREATE TABLE jobs (
    queue        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL, -- what it is about
    priority     INTEGER NOT NULL CHECK (priority IN (0, 1)), -- 0: somebody waits for it; 1: normal
    due_at       TEXT, -- on the program's clock; NULL: not before it is scheduled again
    cause        INTEGER NOT NULL DEFAULT 0, -- the position of the event that scheduled it
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    lease        TEXT,
    leased_until TEXT, -- on the database's clock
    was_held     INTEGER NOT NULL DEFAULT 0, -- when it was claimed last: another worker's lease had ended without a word
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX jobs_due ON jobs (queue, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_key ON jobs (key);

-- Where the jobs of a projection are scheduled while it is rebuilt; empty otherwise.
CREATE TABLE jobs_rebuild (
    queue        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL,
    priority     INTEGER NOT NULL CHECK (priority IN (0, 1)),
    due_at       TEXT,
    cause        INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    lease        TEXT,
    leased_until TEXT,
    was_held     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, key)
) STRICT;
