-- How many accounts have each status. Written with the view by its follower; the rebuild to version 2 counts anew.
CREATE TABLE account_counts_v1 (
    status   TEXT COLLATE "C" PRIMARY KEY,
    accounts BIGINT NOT NULL
);
INSERT INTO account_counts_v1 SELECT status, count(*) FROM account_status_v1 GROUP BY status;
CREATE TABLE account_counts_v1_rebuild (LIKE account_counts_v1 INCLUDING ALL);

-- Lists of one status come by when accounts came to it.
DROP INDEX account_status_v1_status;
CREATE INDEX account_status_v1_since ON account_status_v1 (status, since, account_id);
DROP INDEX IF EXISTS account_status_v1_rebuild_status_account_id_idx;
CREATE INDEX account_status_v1_rebuild_since ON account_status_v1_rebuild (status, since, account_id);

-- Names by any part of them. A database's owner may create this extension; it comes with PostgreSQL.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX profiles_search ON profiles USING gin (username_lower gin_trgm_ops);
