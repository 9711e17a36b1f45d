-- Mails are forgotten a year after they ended.
CREATE INDEX mails_ended ON mails (ended_at) WHERE ended_at IS NOT NULL;
