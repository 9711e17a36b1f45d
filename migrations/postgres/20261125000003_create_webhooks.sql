-- Written by the crate `api` alone.

-- Where the widget service wants to be told.
CREATE TABLE webhook_endpoints (
    id          TEXT COLLATE "C" PRIMARY KEY,
    url         TEXT NOT NULL,
    key_id      TEXT COLLATE "C" NOT NULL, -- of the vault, which sealed the secret
    secret      BYTEA NOT NULL,
    since       BIGINT NOT NULL, -- events up to this position were before its time
    created_at  TIMESTAMPTZ NOT NULL,
    disabled_at TIMESTAMPTZ -- it answered 410 Gone
);

-- How far the journal was looked through for what endpoints are told.
CREATE TABLE webhook_cursor (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);

-- What each endpoint is told, and what came of it.
CREATE TABLE webhook_deliveries (
    id           TEXT COLLATE "C" PRIMARY KEY,
    endpoint_id  TEXT COLLATE "C" NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    message_id   TEXT COLLATE "C" NOT NULL, -- the same for all endpoints and tries
    type         TEXT NOT NULL,
    account_id   TEXT COLLATE "C" NOT NULL,
    body         TEXT NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    due_at       TIMESTAMPTZ NOT NULL, -- on the program's clock
    attempts     BIGINT NOT NULL DEFAULT 0,
    leased_until TIMESTAMPTZ, -- on the database's clock
    ended_at     TIMESTAMPTZ,
    outcome      TEXT CHECK (outcome IN ('delivered', 'failed')),
    answer       TEXT, -- what came back last
    UNIQUE (endpoint_id, message_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE ended_at IS NULL;
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
