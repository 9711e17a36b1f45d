-- The queue's rows are updated at each claim and each end. Room on their pages keeps the claims (which change no indexed
-- column) on the page, and frequent vacuums of few rows keep the index short.
ALTER TABLE work_v1 SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1
);
