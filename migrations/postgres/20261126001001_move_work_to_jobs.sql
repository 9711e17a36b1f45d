-- Written by the crate `projections` alone: how many widgets of each plan an account has, as its pulls know it.
CREATE TABLE widget_counts_v1 (
    account_id       TEXT COLLATE "C" PRIMARY KEY,
    free_widgets     BIGINT NOT NULL,
    upgraded_widgets BIGINT NOT NULL
);
CREATE TABLE widget_counts_v1_rebuild (LIKE widget_counts_v1 INCLUDING ALL);
INSERT INTO widget_counts_v1 SELECT account_id, free_widgets, upgraded_widgets FROM work_v1 WHERE kind = 'pull';

-- What is due stands in the engine's queue. 0 was first, 1 normal, 2 what is due by the clock, 3 notices.
INSERT INTO jobs (queue, kind, key, priority, due_at, cause, attempts, last_error)
SELECT CASE WHEN kind IN ('pull', 'check', 'renew') THEN 'meta' WHEN kind = 'expire' THEN 'clock' ELSE 'notifications' END,
       kind, key, CASE WHEN priority = 0 THEN 0 ELSE 1 END, due_at, cause, attempts, last_error
FROM work_v1;
DROP TABLE work_v1;
DROP TABLE work_v1_rebuild;
-- A rebuild that was under way begins anew.
DELETE FROM checkpoints WHERE name = 'work_rebuild';
