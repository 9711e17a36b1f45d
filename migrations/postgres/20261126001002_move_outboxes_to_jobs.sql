-- Mails and deliveries are records of what was to be sent and what came of it; when they are due, and who is at it, stands
-- in the engine's queue.
INSERT INTO jobs (queue, kind, key, priority, due_at, attempts, last_error)
SELECT 'mail', 'mail', id, 1, due_at, attempts, problem FROM mails WHERE ended_at IS NULL;
INSERT INTO jobs (queue, kind, key, priority, due_at, attempts, last_error)
SELECT 'hook:' || endpoint_id, 'delivery', id, 1, due_at, attempts, answer FROM webhook_deliveries WHERE ended_at IS NULL;

DROP INDEX mails_due;
ALTER TABLE mails DROP COLUMN leased_until;
DROP INDEX webhook_deliveries_endpoint;
ALTER TABLE webhook_deliveries DROP COLUMN leased_until;
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
