-- One index finds a job: by what it is about, then by its kind. Ending a job changes one index less. (A table WITHOUT ROWID
-- would save another, and cost three times as much where jobs are claimed in the order in which they were added.)
CREATE TABLE jobs_by_key (
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
    PRIMARY KEY (key, kind)
) STRICT;
INSERT INTO jobs_by_key (queue, kind, key, priority, due_at, cause, attempts, last_error, lease, leased_until, was_held)
SELECT queue, kind, key, priority, due_at, cause, attempts, last_error, lease, leased_until, was_held FROM jobs ORDER BY rowid;
DROP TABLE jobs;
ALTER TABLE jobs_by_key RENAME TO jobs;
CREATE INDEX jobs_due ON jobs (queue, priority, due_at) WHERE due_at IS NOT NULL;
