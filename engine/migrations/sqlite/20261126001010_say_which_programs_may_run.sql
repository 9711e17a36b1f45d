-- Programs that know this migration, or a later one, may run on the schema, although a newer program has migrated it further.
-- A migration that older programs can't live with raises it: UPDATE minimum_program SET knows = its own version.
CREATE TABLE minimum_program (
    knows INTEGER NOT NULL
) STRICT;
INSERT INTO minimum_program (knows) VALUES (20261126001010);
