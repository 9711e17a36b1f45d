-- Written by the crate `commands` alone. What was asked to be erased, by the code that whoever asked can look it up with. Nothing in
-- here is about a person: ids of accounts, which are random.
CREATE TABLE erasures (
    code       TEXT PRIMARY KEY,
    asked_at   TIMESTAMPTZ NOT NULL,
    asked_by   TEXT NOT NULL CHECK (asked_by IN ('meta', 'staff', 'operator')),
    ended_at   TIMESTAMPTZ
);
CREATE TABLE erased_accounts (
    code       TEXT NOT NULL REFERENCES erasures (code) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    what       TEXT NOT NULL CHECK (what IN ('account', 'grant')), -- all of it, or what one person's grant brought
    issued_at  TIMESTAMPTZ NOT NULL, -- when it was asked for, by the clock of whoever asked: a later grant stays
    ended_at   TIMESTAMPTZ,
    PRIMARY KEY (code, account_id)
);
CREATE INDEX erased_accounts_open ON erased_accounts (code) WHERE ended_at IS NULL;
-- The planner's samples would keep what was deleted: none of columns about people.
ALTER TABLE profiles ALTER COLUMN instagram_id SET STATISTICS 0;
ALTER TABLE profiles ALTER COLUMN username SET STATISTICS 0;
ALTER TABLE profiles ALTER COLUMN username_lower SET STATISTICS 0;
ALTER TABLE profiles ALTER COLUMN grantor_id SET STATISTICS 0;
ALTER TABLE users ALTER COLUMN email SET STATISTICS 0;
ALTER TABLE invitations ALTER COLUMN email SET STATISTICS 0;
ALTER TABLE token_errors ALTER COLUMN person SET STATISTICS 0;
ALTER TABLE attempts ALTER COLUMN outcome SET STATISTICS 0;
ALTER TABLE attempts ALTER COLUMN pending SET STATISTICS 0;
ALTER TABLE feeds ALTER COLUMN posts SET STATISTICS 0;
