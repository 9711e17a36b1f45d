-- How often a projection's rows were changed by others than its runner, as by a rebuild: what a runner has folded of the rows
-- before that is not saved. (On SQLite it folds before it has the right to write.)
ALTER TABLE checkpoints ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
