-- How many accounts have each status. Written with the view by its follower; the rebuild to version 2 counts anew.
CREATE TABLE account_counts_v1 (
    status   TEXT PRIMARY KEY,
    accounts INTEGER NOT NULL
) STRICT;
INSERT INTO account_counts_v1 SELECT status, count(*) FROM account_status_v1 GROUP BY status;
CREATE TABLE account_counts_v1_rebuild (
    status   TEXT PRIMARY KEY,
    accounts INTEGER NOT NULL
) STRICT;

-- Lists of one status come by when accounts came to it.
DROP INDEX account_status_v1_status;
CREATE INDEX account_status_v1_since ON account_status_v1 (status, since, account_id);
CREATE INDEX account_status_v1_rebuild_since ON account_status_v1_rebuild (status, since, account_id);

-- Names by any part of them: an index of its own, by a number that VACUUM leaves as it is.
CREATE TABLE profiles_numbered (
    number         INTEGER PRIMARY KEY,
    account_id     TEXT NOT NULL UNIQUE,
    instagram_id   TEXT NOT NULL UNIQUE,
    username       TEXT NOT NULL,
    username_lower TEXT NOT NULL,
    grantor_id     TEXT, -- the app-scoped id of whoever went through the login last
    updated_at     TEXT NOT NULL
) STRICT;
INSERT INTO profiles_numbered (account_id, instagram_id, username, username_lower, grantor_id, updated_at)
SELECT account_id, instagram_id, username, username_lower, grantor_id, updated_at FROM profiles;
DROP TABLE profiles;
ALTER TABLE profiles_numbered RENAME TO profiles;
CREATE INDEX profiles_username ON profiles (username_lower, account_id);

CREATE VIRTUAL TABLE profiles_search USING fts5 (
    username_lower, content = 'profiles', content_rowid = 'number', tokenize = 'trigram'
);
-- A name that was deleted is gone from the index too, at once.
INSERT INTO profiles_search (profiles_search, rank) VALUES ('secure-delete', 1);
INSERT INTO profiles_search (profiles_search) VALUES ('rebuild');
CREATE TRIGGER profiles_search_insert AFTER INSERT ON profiles BEGIN
    INSERT INTO profiles_search (rowid, username_lower) VALUES (new.number, new.username_lower);
END;
CREATE TRIGGER profiles_search_delete AFTER DELETE ON profiles BEGIN
    INSERT INTO profiles_search (profiles_search, rowid, username_lower) VALUES ('delete', old.number, old.username_lower);
END;
CREATE TRIGGER profiles_search_update AFTER UPDATE OF username_lower ON profiles BEGIN
    INSERT INTO profiles_search (profiles_search, rowid, username_lower) VALUES ('delete', old.number, old.username_lower);
    INSERT INTO profiles_search (rowid, username_lower) VALUES (new.number, new.username_lower);
END;
