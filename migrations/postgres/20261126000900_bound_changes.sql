-- How many permanent changes were taken on the current day (days since 1970-01-01 UTC), in the commit of each change.
-- One row a member, one an account for its members' changes, one an account for logins without a sign-in. Written and
-- read by the crate `commands` alone.
CREATE TABLE allowances (
    scope TEXT COLLATE "C" NOT NULL CHECK (scope IN ('member', 'account', 'visitor')),
    id    TEXT COLLATE "C" NOT NULL,
    day   BIGINT NOT NULL,
    used  BIGINT NOT NULL,
    PRIMARY KEY (scope, id)
);
CREATE INDEX allowances_day ON allowances (day);
