-- Revocation. Instants are milliseconds since the epoch, ids and digests are bytes.

-- The bit of the tokens of a session or a client secret: the number of its list times 2^20, and the
-- place in the list.
ALTER TABLE sessions ADD COLUMN status_index BIGINT;
ALTER TABLE client_secrets ADD COLUMN status_index BIGINT;

UPDATE sessions SET status_index = numbered.place
FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM sessions) numbered
WHERE numbered.id = sessions.id;
UPDATE client_secrets SET status_index = numbered.place + (SELECT COUNT(*) FROM sessions)
FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM client_secrets) numbered
WHERE numbered.id = client_secrets.id;

-- A replica of an older build, which knows nothing of bits, must fail rather than begin a session that
-- nobody can take back.
ALTER TABLE sessions ALTER COLUMN status_index SET NOT NULL;
ALTER TABLE client_secrets ALTER COLUMN status_index SET NOT NULL;

-- One row: the next number to give out, and how many lists are announced. What was there before this
-- migration has whole lists of its own.
CREATE TABLE status_numbers (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    next_number BIGINT NOT NULL,
    announced BIGINT NOT NULL
);
INSERT INTO status_numbers (singleton, next_number, announced)
SELECT 1, used.lists * 1048576, used.lists FROM (
    SELECT ((SELECT COUNT(*) FROM sessions) + (SELECT COUNT(*) FROM client_secrets) + 1048575)
        / 1048576 AS lists
) used;

-- What was taken back in the last hour. A row has no number until it is in the log; rows that were
-- numbered together have that of the first.
CREATE TABLE revocations (
    at BIGINT NOT NULL,
    epoch BIGINT,
    seq BIGINT,
    status_index BIGINT,
    list BIGINT,
    not_before BIGINT,
    id BYTEA NOT NULL PRIMARY KEY,
    scope TEXT,
    subject TEXT
);
CREATE INDEX revocations_unnumbered ON revocations (at, id) WHERE seq IS NULL;
CREATE INDEX revocations_log ON revocations (epoch, seq) WHERE seq IS NOT NULL;
CREATE INDEX revocations_at ON revocations (at);

-- One row: where the log ends, and until when some replica is known to be there.
CREATE TABLE revocation_log (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    chain BYTEA NOT NULL,
    alive_until BIGINT NOT NULL
);
INSERT INTO revocation_log (singleton, epoch, seq, chain, alive_until)
VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'), 0);

-- Who signed in before such an instant, in all or at a client, must sign in again.
CREATE TABLE cut_offs (
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    cut_at BIGINT NOT NULL,
    PRIMARY KEY (scope, subject)
);
