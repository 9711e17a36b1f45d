-- Written by the crate `api` alone: requests with an Idempotency-Key that are being carried out, or ended without an answer
-- that is kept. The key is for this request alone from its first arrival on.
CREATE TABLE keyed_requests (
    caller_id    TEXT COLLATE "C" NOT NULL, -- the API key's id
    key          TEXT COLLATE "C" NOT NULL, -- as the caller chose it
    request_hash BYTEA NOT NULL, -- SHA-256 of method, path and body
    lease        TEXT COLLATE "C", -- of whoever carries it out
    leased_until TIMESTAMPTZ, -- on the database's clock
    asked_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX keyed_requests_asked ON keyed_requests (asked_at);
