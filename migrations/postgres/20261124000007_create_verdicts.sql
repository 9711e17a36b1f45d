-- Written by the crate `commands` alone.

-- What Meta said against a token without saying it clearly: held until it is known that the app works for others and the
-- token fails again. One row an account; gone with a call that works. Read by `commands` alone.
CREATE TABLE verdicts (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    token_id   TEXT COLLATE "C" NOT NULL,
    reason     TEXT NOT NULL,
    evidence   TEXT NOT NULL, -- JSON, as it will be in the event
    first_at   TIMESTAMPTZ NOT NULL, -- on the program's clock
    last_at    TIMESTAMPTZ NOT NULL,
    failures   BIGINT NOT NULL -- those at least a minute apart
);

-- When a call of each app at Meta last worked, to the minute.
CREATE TABLE apps (
    connection TEXT PRIMARY KEY CHECK (connection IN ('consumer', 'business')),
    worked_at  TIMESTAMPTZ NOT NULL -- on the program's clock
);

-- Whom a deauthorize callback is about.
CREATE INDEX profiles_grantor ON profiles (grantor_id);
