-- Written by the crate `projections` alone. Each view's tables bear the version of its projection: a newer version is
-- filled beside the older one.

-- How far each projection has read the journal. The row's lock is the right to work on it.
CREATE TABLE checkpoints (
    name            TEXT NOT NULL,
    version         INTEGER NOT NULL,
    position        INTEGER NOT NULL DEFAULT 0,
    failed_position INTEGER, -- the event that could not be applied; nothing moves until that is mended
    failure         TEXT,
    PRIMARY KEY (name, version)
) STRICT;

-- The state of each account. Read by `api` through `projections`.
CREATE TABLE account_status_v1 (
    account_id             TEXT PRIMARY KEY,
    connection             TEXT NOT NULL,
    status                 TEXT NOT NULL CHECK (status IN ('active', 'expired', 'disconnected')),
    reason                 TEXT,
    since                  TEXT NOT NULL,
    token_id               TEXT,
    generation             INTEGER NOT NULL,
    granted_at             TEXT,
    expires_at             TEXT,
    data_access_expires_at TEXT,
    data_access_estimated  INTEGER NOT NULL,
    free_widgets           INTEGER NOT NULL,
    upgraded_widgets       INTEGER NOT NULL,
    position               INTEGER NOT NULL,
    CHECK ((status = 'expired') = (reason IS NOT NULL))
) STRICT;
CREATE INDEX account_status_v1_status ON account_status_v1 (status, account_id);

-- Who sees which accounts.
CREATE TABLE account_rights_v1 (
    user_id     TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    access      TEXT NOT NULL CHECK (access IN ('owner', 'developer')),
    PRIMARY KEY (user_id, account_id)
) STRICT;
CREATE INDEX account_rights_v1_account ON account_rights_v1 (account_id);

-- Which account's posts a widget shows. A removed widget's row stays, so that its page can say so.
CREATE TABLE widgets_v1 (
    widget_id  TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    plan       TEXT NOT NULL CHECK (plan IN ('free', 'upgraded')),
    removed    INTEGER NOT NULL,
    added_at   TEXT NOT NULL
) STRICT;
CREATE INDEX widgets_v1_account ON widgets_v1 (account_id);

-- What is due: one row a thing. `cause` is the position of the event that put it here.
CREATE TABLE work_v1 (
    kind         TEXT NOT NULL CHECK (kind IN ('pull', 'check', 'renew', 'expire', 'remind', 'notify')),
    key          TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    free_widgets     INTEGER NOT NULL,
    upgraded_widgets INTEGER NOT NULL,
    priority     INTEGER NOT NULL, -- 0 first, 1 normal
    due_at       TEXT, -- on the program's clock; NULL rests
    cause        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    lease        TEXT,
    leased_until TEXT, -- on the database's clock
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX work_v1_due ON work_v1 (priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX work_v1_account ON work_v1 (account_id);

-- The posts that widgets show: one row for each plan of an account's widgets.
CREATE TABLE feeds (
    account_id TEXT NOT NULL,
    plan       TEXT NOT NULL CHECK (plan IN ('free', 'upgraded')),
    posts      TEXT NOT NULL, -- JSON
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (account_id, plan)
) STRICT;

-- When Meta last said something about an account's token.
CREATE TABLE checks (
    account_id TEXT PRIMARY KEY,
    token_id   TEXT NOT NULL,
    checked_at TEXT NOT NULL
) STRICT;
