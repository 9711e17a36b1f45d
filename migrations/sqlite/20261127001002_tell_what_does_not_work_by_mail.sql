-- Two more kinds of mail. SQLite changes no constraint: both tables are made anew.
CREATE TABLE mails_new (
    id       TEXT PRIMARY KEY, -- stands in its Message-ID too
    user_id  TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('expired', 'reminder', 'recovered', 'refreshed_by_visitor', 'incident',
        'reading_refused', 'renewal_failing')),
    due_at   TEXT NOT NULL, -- on the program's clock
    attempts INTEGER NOT NULL DEFAULT 0,
    ended_at TEXT,
    outcome  TEXT CHECK (outcome IN ('sent', 'refused', 'given_up', 'dropped')),
    problem  TEXT, -- what the mail server said, without the address
    unsure   INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO mails_new SELECT id, user_id, kind, due_at, attempts, ended_at, outcome, problem, unsure FROM mails;
CREATE TABLE notices_new (
    id         TEXT PRIMARY KEY, -- also of the reconnect link in it
    mail_id    TEXT NOT NULL REFERENCES mails_new (id),
    account_id TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    cause      INTEGER NOT NULL, -- the position of the event that it tells of
    days_left  INTEGER NOT NULL, -- for which reminder; otherwise 0
    created_at TEXT NOT NULL,
    sent_at    TEXT,
    opened_at  TEXT, -- when its link was first opened
    UNIQUE (account_id, user_id, kind, cause, days_left)
) STRICT;
INSERT INTO notices_new
SELECT id, mail_id, account_id, user_id, kind, cause, days_left, created_at, sent_at, opened_at FROM notices;
DROP TABLE notices;
DROP TABLE mails;
ALTER TABLE mails_new RENAME TO mails;
ALTER TABLE notices_new RENAME TO notices;
CREATE INDEX mails_user ON mails (user_id, id);
CREATE INDEX mails_ended ON mails (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX notices_mail ON notices (mail_id);
