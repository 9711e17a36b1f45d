-- Written by the crate `commands` alone.

-- Accounts whose token Meta refused lately. `person`: who granted it, so that one person's many accounts count once where
-- Meta says that it is that person's matter; otherwise the account.
CREATE TABLE token_errors (
    account_id TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    person     TEXT NOT NULL,
    at         TEXT NOT NULL -- on the program's clock
) STRICT;
CREATE INDEX token_errors_at ON token_errors (connection, at);

-- Times at which an app's tokens were refused in numbers: the app's matter, until somebody knows better.
CREATE TABLE incidents (
    id         TEXT PRIMARY KEY,
    connection TEXT NOT NULL CHECK (connection IN ('consumer', 'business')),
    opened_at  TEXT NOT NULL,
    accounts   INTEGER NOT NULL, -- how many were hit when it was opened
    called     INTEGER NOT NULL, -- of how many that were called
    closed_at  TEXT,
    outcome    TEXT CHECK (outcome IN ('worked', 'released', 'dismissed')),
    closed_by  TEXT -- a user's id
) STRICT;
CREATE UNIQUE INDEX incidents_open ON incidents (connection) WHERE closed_at IS NULL;

-- How many accounts of an app were called lately.
CREATE INDEX checks_checked ON checks (checked_at);

-- Held over an incident's end: when Meta was asked about it again. Such an account opens no other incident.
ALTER TABLE verdicts ADD COLUMN incident_over_at TEXT;
ALTER TABLE verdicts ADD COLUMN asked_at TEXT;
