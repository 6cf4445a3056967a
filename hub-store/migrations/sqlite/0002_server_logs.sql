-- What a server wrote last. A table of its own, since a server's row changes often
-- and is small.
CREATE TABLE server_logs (
    server_id INTEGER NOT NULL PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,
    ended     INTEGER NOT NULL,
    log       TEXT    NOT NULL
) STRICT;
