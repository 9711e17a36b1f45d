-- After a write that found no room, it is tried here whether there is some again. Empty otherwise. Written by the engine alone.
CREATE TABLE write_probe (
    filling BLOB NOT NULL
) STRICT;
