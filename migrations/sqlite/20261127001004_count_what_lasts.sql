-- Calls that go on failing, until one works.
CREATE TABLE lasting_failures (
    account_id TEXT NOT NULL,
    call       TEXT NOT NULL CHECK (call IN ('renew', 'read')),
    token_id   TEXT NOT NULL,
    first_at   TEXT NOT NULL,
    failures   INTEGER NOT NULL,
    PRIMARY KEY (account_id, call)
) STRICT;
INSERT INTO lasting_failures (account_id, call, token_id, first_at, failures)
SELECT account_id, 'renew', token_id, first_at, failures FROM renewal_failures;
DROP TABLE renewal_failures;
-- Meta's app-scoped id of who logged in, as far as Meta told it: what they may ask to be deleted is found by it.
ALTER TABLE attempts ADD COLUMN grantor_id TEXT;
UPDATE minimum_program SET knows = 20261127001004;
