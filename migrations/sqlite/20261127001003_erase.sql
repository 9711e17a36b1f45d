-- Written by the crate `commands` alone. What was asked to be erased, by the code that whoever asked can look it up with. Nothing in
-- here is about a person: ids of accounts, which are random.
CREATE TABLE erasures (
    code       TEXT PRIMARY KEY,
    asked_at   TEXT NOT NULL,
    asked_by   TEXT NOT NULL CHECK (asked_by IN ('meta', 'staff', 'operator')),
    ended_at   TEXT
) STRICT;
CREATE TABLE erased_accounts (
    code       TEXT NOT NULL REFERENCES erasures (code) ON DELETE CASCADE,
    account_id TEXT NOT NULL,
    what       TEXT NOT NULL CHECK (what IN ('account', 'grant')), -- all of it, or what one person's grant brought
    issued_at  TEXT NOT NULL, -- when it was asked for, by the clock of whoever asked: a later grant stays
    ended_at   TEXT,
    PRIMARY KEY (code, account_id)
) STRICT;
CREATE INDEX erased_accounts_open ON erased_accounts (code) WHERE ended_at IS NULL;
-- Deleted names leave nothing in the index of search.
INSERT INTO profiles_search (profiles_search, rank) VALUES ('secure-delete', 1);
