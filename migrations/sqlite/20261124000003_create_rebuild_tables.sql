-- Where a projection is rebuilt beside the tables that serve; empty otherwise. Written by the crate `projections` alone.

CREATE TABLE account_status_v1_rebuild (
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

CREATE TABLE account_rights_v1_rebuild (
    user_id     TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    access      TEXT NOT NULL CHECK (access IN ('owner', 'developer')),
    PRIMARY KEY (user_id, account_id)
) STRICT;

CREATE TABLE widgets_v1_rebuild (
    widget_id  TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    plan       TEXT NOT NULL CHECK (plan IN ('free', 'upgraded')),
    removed    INTEGER NOT NULL,
    added_at   TEXT NOT NULL
) STRICT;

CREATE TABLE work_v1_rebuild (
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
