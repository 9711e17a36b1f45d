-- JSON: why a grant waits to be tried again, where it doesn't wait for a choice alone.
ALTER TABLE attempts ADD COLUMN pending TEXT;
