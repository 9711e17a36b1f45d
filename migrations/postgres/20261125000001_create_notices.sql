-- Written by the crate `commands` alone.

-- Mails to be sent, and what became of them. Neither address nor text: both are looked up and written when it is sent.
CREATE TABLE mails (
    id           TEXT COLLATE "C" PRIMARY KEY, -- stands in its Message-ID too
    user_id      TEXT COLLATE "C" NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('expired', 'reminder', 'recovered', 'refreshed_by_visitor', 'incident')),
    due_at       TIMESTAMPTZ NOT NULL, -- on the program's clock
    attempts     BIGINT NOT NULL DEFAULT 0,
    leased_until TIMESTAMPTZ, -- on the database's clock
    ended_at     TIMESTAMPTZ,
    outcome      TEXT CHECK (outcome IN ('sent', 'refused', 'given_up', 'dropped')),
    problem      TEXT -- what the mail server said, without the address
);
CREATE INDEX mails_due ON mails (due_at) WHERE ended_at IS NULL;
CREATE INDEX mails_user ON mails (user_id, id);

-- What they tell: one row for an account, a person and a cause, so that nobody is told twice.
CREATE TABLE notices (
    id         TEXT COLLATE "C" PRIMARY KEY, -- also of the reconnect link in it
    mail_id    TEXT COLLATE "C" NOT NULL REFERENCES mails (id),
    account_id TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    kind       TEXT NOT NULL,
    cause      BIGINT NOT NULL, -- the position of the event that it tells of
    days_left  BIGINT NOT NULL, -- for which reminder; otherwise 0
    created_at TIMESTAMPTZ NOT NULL,
    sent_at    TIMESTAMPTZ,
    opened_at  TIMESTAMPTZ, -- when its link was first opened
    UNIQUE (account_id, user_id, kind, cause, days_left)
);
CREATE INDEX notices_mail ON notices (mail_id);

-- Written by the crate `api` alone: whether somebody wants mails about accounts that they own, or are a developer of.
ALTER TABLE users ADD COLUMN mails_as_owner BOOLEAN NOT NULL DEFAULT true;
ALTER TABLE users ADD COLUMN mails_as_developer BOOLEAN NOT NULL DEFAULT false;
