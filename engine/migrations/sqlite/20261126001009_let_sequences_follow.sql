-- A stream has no gap: whoever decided on events that are not there (a restored copy, a lost commit) is refused.
CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.sequence > 1 AND NOT EXISTS (SELECT 1 FROM events WHERE aggregate_type = NEW.aggregate_type
    AND aggregate_id = NEW.aggregate_id AND sequence = NEW.sequence - 1)
BEGIN SELECT RAISE(ABORT, 'events follow each other'); END;
