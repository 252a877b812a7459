-- Who is at work on this database, and of which build. A row is renewed every few seconds, and goes when its
-- replica stops; what died without a word is swept later.
CREATE TABLE replicas (
    id BLOB NOT NULL PRIMARY KEY,
    build TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
