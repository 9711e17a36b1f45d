-- Rights on accounts that were offered to somebody and wait to be accepted. Written by the crate `api` alone. The address may
-- be nobody's: the offer tells nothing about which addresses can sign in.
CREATE TABLE invitations (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    email      TEXT NOT NULL, -- lowercase
    "right"    TEXT NOT NULL CHECK ("right" IN ('owner', 'developer')),
    invited_by TEXT NOT NULL, -- a user's id
    invited_at TIMESTAMPTZ NOT NULL,
    UNIQUE (account_id, email)
);
CREATE INDEX invitations_by_email ON invitations (email);
CREATE INDEX invitations_by_inviter ON invitations (invited_by, invited_at);
