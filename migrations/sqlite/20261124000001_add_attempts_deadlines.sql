-- When a callback was taken on, and until when a grant waits for a choice: both count from there, not from the start.
ALTER TABLE attempts ADD COLUMN claimed_at TEXT;
ALTER TABLE attempts ADD COLUMN choose_until TEXT;
-- Support leads from an attempt to its accounts.
CREATE INDEX attempt_accounts_attempt ON attempt_accounts (attempt_id);
