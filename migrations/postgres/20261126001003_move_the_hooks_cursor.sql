-- How far web hooks have answered the journal stands among the engine's checkpoints.
INSERT INTO checkpoints (name, version, position) SELECT 'web_hooks', 1, position FROM webhook_cursor;
DROP TABLE webhook_cursor;
