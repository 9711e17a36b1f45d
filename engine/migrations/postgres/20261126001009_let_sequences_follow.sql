-- A stream has no gap: whoever decided on events that are not there (a restored copy, a lost commit) is refused, as one who
-- was too late is.
CREATE FUNCTION events_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added WHERE sequence > 1 AND NOT EXISTS (SELECT 1 FROM events AS before
        WHERE before.aggregate_type = added.aggregate_type AND before.aggregate_id = added.aggregate_id
        AND before.sequence = added.sequence - 1)) THEN
        RAISE EXCEPTION 'events follow each other' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER events_follow AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION events_follow();
