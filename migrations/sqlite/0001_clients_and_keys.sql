-- Instants are milliseconds since the epoch, ids and digests are bytes.

-- One row: which master key seals what is in this database.
CREATE TABLE installation (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    master_key_fingerprint BLOB NOT NULL
);

-- A counter for each table that replicas keep in memory. A change takes the next number first, so
-- numbers appear in commit order.
CREATE TABLE watched_versions (
    name TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
);
INSERT INTO watched_versions (name, version) VALUES ('clients', 0), ('keys', 0);

-- A deleted client stays as a tombstone, so that replicas learn of it.
CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    deleted_at INTEGER,
    version INTEGER NOT NULL
);
CREATE INDEX clients_version ON clients (version);

CREATE TABLE client_secrets (
    id BLOB NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id),
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
CREATE INDEX client_secrets_client_id ON client_secrets (client_id);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL,
    slot INTEGER NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private BLOB,
    created_at INTEGER NOT NULL,
    active_from INTEGER NOT NULL,
    retires_at INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE UNIQUE INDEX signing_keys_algorithm_slot ON signing_keys (algorithm, slot);
