-- Written by the crate `projections` alone: each try that failed and was put off, for the account's page.
CREATE TABLE tries (
    account_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    at         TEXT NOT NULL, -- on the program's clock
    problem    TEXT NOT NULL
) STRICT;
CREATE INDEX tries_account ON tries (account_id, at);
CREATE INDEX tries_at ON tries (at);

-- Written by the crate `commands` alone: the app that a verdict is about. Refusals are forgotten before verdicts are.
ALTER TABLE verdicts ADD COLUMN connection TEXT;
UPDATE verdicts SET connection = (SELECT connection FROM token_errors WHERE token_errors.account_id = verdicts.account_id);
-- By whose call the app was last seen to work: an account's own shows nothing of another. NULL: an admin says so.
ALTER TABLE apps ADD COLUMN worked_by TEXT;

-- An incident also ends when nobody is left to ask.
CREATE TABLE incidents_new (
    id         TEXT PRIMARY KEY,
    connection TEXT NOT NULL CHECK (connection IN ('consumer', 'business')),
    opened_at  TEXT NOT NULL,
    accounts   INTEGER NOT NULL, -- how many were hit when it was opened
    called     INTEGER NOT NULL, -- of how many that were called
    closed_at  TEXT,
    outcome    TEXT CHECK (outcome IN ('worked', 'released', 'dismissed', 'nobody_left')),
    closed_by  TEXT -- a user's id
) STRICT;
INSERT INTO incidents_new SELECT * FROM incidents;
DROP TABLE incidents;
ALTER TABLE incidents_new RENAME TO incidents;
CREATE UNIQUE INDEX incidents_open ON incidents (connection) WHERE closed_at IS NULL;

-- A rebuild swaps a table with its twin: both need their indexes.
DROP INDEX IF EXISTS account_rights_v1_account;
DROP INDEX IF EXISTS widgets_v1_account;
CREATE INDEX account_rights_one_account ON account_rights_v1 (account_id);
CREATE INDEX account_rights_two_account ON account_rights_v1_rebuild (account_id);
CREATE INDEX widgets_one_account ON widgets_v1 (account_id);
CREATE INDEX widgets_two_account ON widgets_v1_rebuild (account_id);

-- Grants that wait for a choice are looked for each minute.
CREATE INDEX attempts_choosing ON attempts (choose_until) WHERE phase = 'choosing';

-- Written by the crate `commands` alone. A try after which nobody knows whether the mail server took the mail.
ALTER TABLE mails ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
-- Until when the reconnect link works by which somebody set out.
ALTER TABLE attempts ADD COLUMN link_ends_at TEXT;
