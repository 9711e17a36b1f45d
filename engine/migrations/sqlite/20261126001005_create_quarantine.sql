-- Aggregates that a view or a reaction has set aside: an event of theirs can't be applied, and from it on their events are
-- passed over there until they are tried again. Written by the engine alone.
CREATE TABLE quarantine (
    projection   TEXT NOT NULL, -- its name in the checkpoints
    aggregate_id TEXT NOT NULL,
    position     INTEGER NOT NULL, -- of the first event that isn't in the rows
    failure      TEXT NOT NULL,
    program      TEXT NOT NULL, -- that could not apply it; another one tries again
    since        TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    PRIMARY KEY (projection, aggregate_id)
) STRICT, WITHOUT ROWID;

-- The program that stopped a projection; another one lets it go on.
ALTER TABLE checkpoints ADD COLUMN stopped_by TEXT;
