-- The journal: all committed events in one order. Written by the crate `store` alone; read by `projections` and `api`.
-- The first seven columns after the position are those that postgres-es reads.
CREATE TABLE events (
    position       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregate_type TEXT        COLLATE "C" NOT NULL,
    aggregate_id   TEXT        COLLATE "C" NOT NULL,
    sequence       BIGINT      NOT NULL CHECK (sequence > 0),
    event_type     TEXT        COLLATE "C" NOT NULL,
    event_version  TEXT        COLLATE "C" NOT NULL,
    payload        JSON        NOT NULL,
    metadata       JSON        NOT NULL,
    at             TIMESTAMPTZ NOT NULL, -- on the program's clock, as in the metadata
    recorded_at    TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), -- on the database's clock
    UNIQUE (aggregate_type, aggregate_id, sequence)
);

-- One account's story is one read: both of its streams, in the order in which they happened.
CREATE INDEX events_account ON events (aggregate_id, position);
CREATE INDEX events_type ON events (event_type, position);

-- Positions must become visible in their order, otherwise a reader that has seen 8 would never look for a 7 that is
-- committed later. The identity's value is drawn when a row is inserted; this statement trigger runs before that and
-- holds a lock until the commit is visible, so whoever draws the next value draws it after all smaller ones can be
-- read. The number is the table's own: nothing else may use this advisory lock.
CREATE FUNCTION events_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7305081921);
    RETURN NULL;
END $$;
CREATE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION events_in_order();

CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();
