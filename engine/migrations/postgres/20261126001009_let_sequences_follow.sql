-- A stream has no gap: whoever decided on events that are not there (a restored copy, a lost commit) is refused, as one who
-- was too late is. One look a stream, along its own index whatever the planner knows of the table.
CREATE FUNCTION events_follow() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
    stream record;
    before bigint;
BEGIN
    FOR stream IN
        SELECT aggregate_type, aggregate_id, min(sequence) AS first, max(sequence) AS last, count(*) AS events
        FROM added GROUP BY aggregate_type, aggregate_id
    LOOP
        SELECT sequence INTO before FROM events
        WHERE aggregate_type = stream.aggregate_type AND aggregate_id = stream.aggregate_id AND sequence < stream.first
        ORDER BY aggregate_type DESC, aggregate_id DESC, sequence DESC LIMIT 1;
        IF COALESCE(before, 0) <> stream.first - 1 OR stream.last - stream.first + 1 <> stream.events THEN
            RAISE EXCEPTION 'events follow each other' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER events_follow AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION events_follow();
