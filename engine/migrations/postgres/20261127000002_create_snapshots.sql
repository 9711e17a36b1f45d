-- States of long streams, by which they are loaded. Made from the journal: rows may be deleted at any time.
CREATE TABLE snapshots (
    aggregate_type TEXT   COLLATE "C" NOT NULL,
    aggregate_id   TEXT   COLLATE "C" NOT NULL,
    shape          BIGINT NOT NULL, -- the number that the program gives to the state's shape
    sequence       BIGINT NOT NULL, -- the last event that is in it
    state          TEXT   NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);
