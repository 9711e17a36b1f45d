-- A projection has one checkpoint, whatever version of it made the rows; and one more while it is rebuilt beside.
CREATE UNIQUE INDEX checkpoints_name ON checkpoints (name);
