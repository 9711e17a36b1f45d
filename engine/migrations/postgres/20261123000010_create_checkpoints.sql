-- How far each projection has read the journal. The row's lock is the right to work on it.
CREATE TABLE IF NOT EXISTS checkpoints (
    name            TEXT   COLLATE "C" PRIMARY KEY,
    version         BIGINT NOT NULL, -- of the projection that made the rows
    position        BIGINT NOT NULL DEFAULT 0,
    failed_position BIGINT, -- the event that could not be applied; nothing moves until that is mended
    failure         TEXT
);
