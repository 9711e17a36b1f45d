-- Each endpoint's deliveries are taken in a turn of its own.
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, due_at) WHERE ended_at IS NULL;
DROP INDEX webhook_deliveries_due;
