-- How sure Meta's answer was, whether it is asked about an expired token again, and what doesn't work although a token does.
ALTER TABLE account_status_v1 ADD COLUMN certainty TEXT;
ALTER TABLE account_status_v1 ADD COLUMN may_return BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE account_status_v1 ADD COLUMN reading_refused_at TIMESTAMPTZ;
ALTER TABLE account_status_v1 ADD COLUMN renewal_failing_since TIMESTAMPTZ;
ALTER TABLE account_status_v1_rebuild ADD COLUMN certainty TEXT;
ALTER TABLE account_status_v1_rebuild ADD COLUMN may_return BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE account_status_v1_rebuild ADD COLUMN reading_refused_at TIMESTAMPTZ;
ALTER TABLE account_status_v1_rebuild ADD COLUMN renewal_failing_since TIMESTAMPTZ;
-- Renewals that failed, until one works or the session ends.
CREATE TABLE renewal_failures (
    account_id TEXT PRIMARY KEY,
    token_id   TEXT NOT NULL,
    first_at   TIMESTAMPTZ NOT NULL,
    failures   BIGINT NOT NULL
);
