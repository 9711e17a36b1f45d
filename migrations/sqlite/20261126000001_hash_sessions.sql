-- Sessions of signed-in browsers, by a hash of their id. Written by the crate `api` alone. The table `sessions` is the one
-- of the release before; nothing writes it any more, and what it held must not be left behind: everybody signs in anew.
CREATE TABLE browser_sessions (
    id_hash    BLOB PRIMARY KEY NOT NULL, -- SHA-256
    user_id    TEXT, -- whose it is
    data       TEXT NOT NULL, -- JSON
    began_at   TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX browser_sessions_by_user ON browser_sessions (user_id, began_at);
CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at);
DELETE FROM sessions;

-- One row once somebody begins to make the first admin: the lock by which exactly one succeeds.
CREATE TABLE set_up (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL
) STRICT;
