-- Each key id of the vault is looked for in each table with sealed rows: by `serve` at its start, by readiness, by `keys`.
CREATE INDEX vault_key ON vault (key_id, account_id);
CREATE INDEX answers_key ON answers (key_id, caller_id, key);
CREATE INDEX attempts_key ON attempts (sealed_key, id) WHERE sealed_key IS NOT NULL;

-- Written by the crate `commands` alone: until when an account's reconnect links work that were signed with a key of the
-- vault. Links are not stored; this says for how long their key is needed.
CREATE TABLE reconnect_links (
    key_id     TEXT NOT NULL,
    account_id TEXT NOT NULL,
    sealed     BLOB NOT NULL, -- nothing, sealed: it opens only with the key that signed
    ends_at    TEXT NOT NULL, -- of the last link
    PRIMARY KEY (key_id, account_id)
) STRICT;
CREATE INDEX reconnect_links_account ON reconnect_links (account_id);
CREATE INDEX reconnect_links_ends ON reconnect_links (ends_at);
