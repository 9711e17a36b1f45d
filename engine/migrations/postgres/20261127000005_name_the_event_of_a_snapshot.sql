-- A sequence alone does not say which event a state was built upon: after a failover another event may have it.
ALTER TABLE snapshots ADD COLUMN position BIGINT NOT NULL DEFAULT 0; -- of the last event that is in it; 0: not known
