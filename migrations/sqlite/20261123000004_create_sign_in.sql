-- Written by the crate `api` alone.

-- Who can sign in.
CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    email      TEXT NOT NULL UNIQUE, -- lowercase
    password   TEXT NOT NULL, -- an Argon2 hash in the PHC string format
    role       TEXT NOT NULL CHECK (role IN ('owner', 'support', 'auditor', 'admin')),
    created_at TEXT NOT NULL
) STRICT;

-- Machines' keys.
CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('service', 'support', 'auditor', 'admin')),
    key_hash   BLOB NOT NULL UNIQUE, -- SHA-256; the key itself has 256 random bits
    created_at TEXT NOT NULL
) STRICT;

-- Signed-in browsers, in the form that tower-sessions-sqlx-store keeps them.
CREATE TABLE sessions (
    id          TEXT PRIMARY KEY NOT NULL,
    data        BLOB NOT NULL,
    expiry_date TEXT NOT NULL
) STRICT;
