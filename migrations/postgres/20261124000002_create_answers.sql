-- Written by the crate `api` alone.

-- The first answers to requests with an Idempotency-Key, sealed, for as long as callers may repeat them.
CREATE TABLE answers (
    caller_id    TEXT COLLATE "C" NOT NULL, -- the API key's id
    key          TEXT COLLATE "C" NOT NULL, -- as the caller chose it
    request_hash BYTEA NOT NULL, -- SHA-256 of method, path and body: the key is for this request alone
    status       BIGINT NOT NULL,
    key_id       TEXT NOT NULL,
    sealed       BYTEA NOT NULL, -- the body, bound to caller and key
    answered_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX answers_answered ON answers (answered_at);
