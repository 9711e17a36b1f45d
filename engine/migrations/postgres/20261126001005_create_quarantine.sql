-- Aggregates that a view or a reaction has set aside: an event of theirs can't be applied, and from it on their events are
-- passed over there until they are tried again. Written by the engine alone.
CREATE TABLE quarantine (
    projection   TEXT COLLATE "C" NOT NULL, -- its name in the checkpoints
    aggregate_id TEXT COLLATE "C" NOT NULL,
    position     BIGINT NOT NULL, -- of the first event that isn't in the rows
    failure      TEXT NOT NULL,
    program      TEXT NOT NULL, -- that could not apply it; another one tries again
    since        TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (projection, aggregate_id)
);

-- The program that stopped a projection; another one lets it go on.
ALTER TABLE checkpoints ADD COLUMN stopped_by TEXT;
