-- States of long streams, by which they are loaded. Made from the journal: rows may be deleted at any time.
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    shape          INTEGER NOT NULL, -- the number that the program gives to the state's shape
    sequence       INTEGER NOT NULL, -- the last event that is in it
    state          TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT;
