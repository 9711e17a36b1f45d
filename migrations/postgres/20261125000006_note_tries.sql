-- Written by the crate `projections` alone: each try that failed and was put off, for the account's page.
CREATE TABLE tries (
    account_id TEXT COLLATE "C" NOT NULL,
    kind       TEXT NOT NULL,
    at         TIMESTAMPTZ NOT NULL, -- on the program's clock
    problem    TEXT NOT NULL
);
CREATE INDEX tries_account ON tries (account_id, at);
CREATE INDEX tries_at ON tries (at);

-- Written by the crate `commands` alone: the app that a verdict is about. Refusals are forgotten before verdicts are.
ALTER TABLE verdicts ADD COLUMN connection TEXT;
UPDATE verdicts SET connection = (SELECT connection FROM token_errors WHERE token_errors.account_id = verdicts.account_id);
-- By whose call the app was last seen to work: an account's own shows nothing of another. NULL: an admin says so.
ALTER TABLE apps ADD COLUMN worked_by TEXT COLLATE "C";

-- An incident also ends when nobody is left to ask.
ALTER TABLE incidents DROP CONSTRAINT incidents_outcome_check;
ALTER TABLE incidents ADD CONSTRAINT incidents_outcome_check
    CHECK (outcome IN ('worked', 'released', 'dismissed', 'nobody_left'));

-- Grants that wait for a choice are looked for each minute.
CREATE INDEX attempts_choosing ON attempts (choose_until) WHERE phase = 'choosing';

-- Written by the crate `commands` alone. A try after which nobody knows whether the mail server took the mail.
ALTER TABLE mails ADD COLUMN unsure BOOLEAN NOT NULL DEFAULT false;
-- Until when the reconnect link works by which somebody set out.
ALTER TABLE attempts ADD COLUMN link_ends_at TIMESTAMPTZ;
