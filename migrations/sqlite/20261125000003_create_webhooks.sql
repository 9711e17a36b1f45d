-- Written by the crate `api` alone.

-- Where the widget service wants to be told.
CREATE TABLE webhook_endpoints (
    id          TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    key_id      TEXT NOT NULL, -- of the vault, which sealed the secret
    secret      BLOB NOT NULL,
    since       INTEGER NOT NULL, -- events up to this position were before its time
    created_at  TEXT NOT NULL,
    disabled_at TEXT -- it answered 410 Gone
) STRICT;

-- How far the journal was looked through for what endpoints are told.
CREATE TABLE webhook_cursor (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;

-- What each endpoint is told, and what came of it.
CREATE TABLE webhook_deliveries (
    id           TEXT PRIMARY KEY,
    endpoint_id  TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    message_id   TEXT NOT NULL, -- the same for all endpoints and tries
    type         TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    body         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    due_at       TEXT NOT NULL, -- on the program's clock
    attempts     INTEGER NOT NULL DEFAULT 0,
    leased_until TEXT, -- on the database's clock
    ended_at     TEXT,
    outcome      TEXT CHECK (outcome IN ('delivered', 'failed')),
    answer       TEXT, -- what came back last
    UNIQUE (endpoint_id, message_id)
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE ended_at IS NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
