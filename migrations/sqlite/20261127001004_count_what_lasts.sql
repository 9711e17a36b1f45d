-- Calls that go on failing, until one works.
CREATE TABLE lasting_failures (
    account_id TEXT NOT NULL,
    call       TEXT NOT NULL CHECK (call IN ('renew', 'renew_for_now', 'read_for_now')),
    token_id   TEXT NOT NULL,
    first_at   TEXT NOT NULL,
    last_at    TEXT NOT NULL,
    failures   INTEGER NOT NULL,
    PRIMARY KEY (account_id, call)
) STRICT;
INSERT INTO lasting_failures (account_id, call, token_id, first_at, last_at, failures)
SELECT account_id, 'renew', token_id, first_at, first_at, failures FROM renewal_failures;
DROP TABLE renewal_failures;
-- Meta's app-scoped id of who logged in, as far as Meta told it: what they may ask to be deleted is found by it.
ALTER TABLE attempts ADD COLUMN grantor_id TEXT;
UPDATE attempts SET grantor_id = (SELECT max(p.grantor_id) FROM attempt_accounts a JOIN profiles p ON p.account_id = a.account_id
                                  WHERE a.attempt_id = attempts.id) WHERE outcome IS NOT NULL;
UPDATE minimum_program SET knows = 20261127001004;
