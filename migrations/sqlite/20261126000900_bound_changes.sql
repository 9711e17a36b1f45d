-- How many permanent changes were taken on the current day (days since 1970-01-01 UTC), in the commit of each change.
-- One row a member, one an account for its members' changes, one an account for logins without a sign-in. Written and
-- read by the crate `commands` alone.
CREATE TABLE allowances (
    scope TEXT NOT NULL CHECK (scope IN ('member', 'account', 'visitor')),
    id    TEXT NOT NULL,
    day   INTEGER NOT NULL,
    used  INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT;
CREATE INDEX allowances_day ON allowances (day);
