-- What is due: one row a job. Written by the engine alone, for projections that schedule jobs, units, and workers.
CREATE TABLE jobs (
    queue        TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL, -- what it is about
    priority     BIGINT NOT NULL CHECK (priority IN (0, 1)), -- 0: somebody waits for it; 1: normal
    due_at       TIMESTAMPTZ, -- on the program's clock; NULL: not before it is scheduled again
    cause        BIGINT NOT NULL DEFAULT 0, -- the position of the event that scheduled it
    attempts     BIGINT NOT NULL DEFAULT 0,
    last_error   TEXT,
    lease        TEXT COLLATE "C",
    leased_until TIMESTAMPTZ, -- on the database's clock
    was_held     BOOLEAN NOT NULL DEFAULT false, -- when it was claimed last: another worker's lease had ended without a word
    PRIMARY KEY (kind, key)
)
-- Rows are updated at each claim and each end. Room on their pages keeps claims (which change no indexed column) on the
-- page, and frequent vacuums of few rows keep the index short.
WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX jobs_due ON jobs (queue, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_key ON jobs (key);

-- Where the jobs of a projection are scheduled while it is rebuilt; empty otherwise.
CREATE TABLE jobs_rebuild (LIKE jobs INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (kind, key));
