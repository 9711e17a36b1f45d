-- How far each projection has read the journal. The row's lock is the right to work on it.
CREATE TABLE IF NOT EXISTS checkpoints (
    name            TEXT    PRIMARY KEY,
    version         INTEGER NOT NULL, -- of the projection that made the rows
    position        INTEGER NOT NULL DEFAULT 0,
    failed_position INTEGER, -- the event that could not be applied; nothing moves until that is mended
    failure         TEXT
) STRICT;
