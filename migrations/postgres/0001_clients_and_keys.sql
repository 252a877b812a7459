-- Instants are milliseconds since the epoch, ids and digests are bytes.
-- Ids compare byte by byte ("C"), as they do in SQLite, whatever the locale of the server.

-- One row: which master key seals what is in this database.
CREATE TABLE installation (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    master_key_fingerprint BYTEA NOT NULL
);

-- A counter for each table that replicas keep in memory. A change takes the next number first, so
-- numbers appear in commit order.
CREATE TABLE watched_versions (
    name TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO watched_versions (name, version) VALUES ('clients', 0), ('keys', 0);

-- A deleted client stays as a tombstone, so that replicas learn of it.
CREATE TABLE clients (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX clients_version ON clients (version);

CREATE TABLE client_secrets (
    id BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX client_secrets_client_id ON client_secrets (client_id);

CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    slot BIGINT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private BYTEA,
    created_at BIGINT NOT NULL,
    active_from BIGINT NOT NULL,
    retires_at BIGINT NOT NULL,
    removed_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_algorithm_slot ON signing_keys (algorithm, slot);
