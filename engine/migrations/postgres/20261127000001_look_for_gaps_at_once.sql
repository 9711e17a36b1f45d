-- The same rule by one statement: each event's predecessor is there, most often because it was before. A subquery that can't be
-- joined is looked up along the index, whatever the planner knows of the table, a microsecond an event.
CREATE OR REPLACE FUNCTION events_follow() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    PERFORM FROM added WHERE sequence > 1 AND NOT EXISTS (
        SELECT FROM events AS before
        WHERE before.aggregate_type = added.aggregate_type AND before.aggregate_id = added.aggregate_id
        AND before.sequence = added.sequence - 1 OFFSET 0);
    IF FOUND THEN
        RAISE EXCEPTION 'events follow each other' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
