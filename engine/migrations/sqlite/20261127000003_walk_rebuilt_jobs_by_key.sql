-- What was scheduled beside is taken over key by key, as the jobs themselves are kept.
CREATE TABLE jobs_rebuild_by_key (
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
    PRIMARY KEY (key, kind)
) STRICT;
INSERT INTO jobs_rebuild_by_key (queue, kind, key, priority, due_at, cause, attempts, last_error, lease, leased_until, was_held)
SELECT queue, kind, key, priority, due_at, cause, attempts, last_error, lease, leased_until, was_held FROM jobs_rebuild;
DROP TABLE jobs_rebuild;
ALTER TABLE jobs_rebuild_by_key RENAME TO jobs_rebuild;
