-- Written by the crate `api` alone.

-- Who can sign in.
CREATE TABLE users (
    id         TEXT COLLATE "C" PRIMARY KEY,
    email      TEXT COLLATE "C" NOT NULL UNIQUE, -- lowercase
    password   TEXT NOT NULL, -- an Argon2 hash in the PHC string format
    role       TEXT NOT NULL CHECK (role IN ('owner', 'support', 'auditor', 'admin')),
    created_at TIMESTAMPTZ NOT NULL
);

-- Machines' keys.
CREATE TABLE api_keys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('service', 'support', 'auditor', 'admin')),
    key_hash   BYTEA NOT NULL UNIQUE, -- SHA-256; the key itself has 256 random bits
    created_at TIMESTAMPTZ NOT NULL
);

-- Signed-in browsers, in the form that tower-sessions-sqlx-store keeps them.
CREATE TABLE sessions (
    id          TEXT PRIMARY KEY NOT NULL,
    data        BYTEA NOT NULL,
    expiry_date TIMESTAMPTZ NOT NULL
);
