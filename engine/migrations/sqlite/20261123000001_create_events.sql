-- The journal: all committed events in one order. Written by the crate `store` alone; read by `projections` and `api`.
-- The first seven columns are those that sqlite-es reads.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, also after a rollback at the end
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence > 0),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL CHECK (json_valid(payload)),
    metadata       TEXT    NOT NULL CHECK (json_valid(metadata)),
    at             TEXT    NOT NULL, -- on the program's clock, as in the metadata
    recorded_at    TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')), -- on the database's clock
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

-- One account's story is one read: both of its streams, in the order in which they happened.
CREATE INDEX events_account ON events (aggregate_id, position);
CREATE INDEX events_type ON events (event_type, position);

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- REPLACE deletes too: it fires this one because the connections have recursive_triggers on.
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
