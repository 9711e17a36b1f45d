-- Written by the crate `commands` alone.

-- The token strings, sealed. One row an account: the current token's. Read by `commands` alone.
CREATE TABLE vault (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    token_id   TEXT COLLATE "C" NOT NULL UNIQUE,
    key_id     TEXT NOT NULL,
    sealed     BYTEA NOT NULL, -- nonce and ciphertext, bound to both ids
    sealed_at  TIMESTAMPTZ NOT NULL
);

-- Which Instagram account it is, and what it is called: data about a person, in a row that can be deleted. Read by
-- `projections` and `api` for names.
CREATE TABLE profiles (
    account_id     TEXT COLLATE "C" PRIMARY KEY,
    instagram_id   TEXT COLLATE "C" NOT NULL UNIQUE,
    username       TEXT NOT NULL,
    username_lower TEXT COLLATE "C" NOT NULL,
    grantor_id     TEXT, -- the app-scoped id of whoever went through the login last
    updated_at     TIMESTAMPTZ NOT NULL
);
CREATE INDEX profiles_username ON profiles (username_lower, account_id);

-- Trips to Meta's login, finished or not. Read by `api` for the account's page and for support.
CREATE TABLE attempts (
    id           TEXT COLLATE "C" PRIMARY KEY,
    reference    TEXT COLLATE "C" NOT NULL UNIQUE, -- what pages show and support finds it by
    state_hash   BYTEA NOT NULL UNIQUE,
    cookie_hash  BYTEA NOT NULL,
    purpose      TEXT NOT NULL CHECK (purpose IN ('connect', 'account', 'token_page', 'link', 'switch')),
    connection   TEXT NOT NULL CHECK (connection IN ('consumer', 'business')),
    account_id   TEXT COLLATE "C", -- the one that is meant, if one is
    user_id      TEXT COLLATE "C",
    link_id      TEXT COLLATE "C",
    phase        TEXT NOT NULL CHECK (phase IN ('started', 'claimed', 'choosing', 'finished')),
    started_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    outcome      TEXT, -- JSON: what came of it, with what the result page says in words
    sealed       BYTEA, -- the grant that waits for a choice
    sealed_key   TEXT,
    CHECK ((phase = 'finished') = (outcome IS NOT NULL)),
    CHECK ((phase = 'choosing') = (sealed IS NOT NULL))
);
CREATE INDEX attempts_started ON attempts (started_at);

-- Which accounts an attempt was about: the one that was meant, and those that the login reached.
CREATE TABLE attempt_accounts (
    account_id TEXT COLLATE "C" NOT NULL,
    attempt_id TEXT COLLATE "C" NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, attempt_id)
);
