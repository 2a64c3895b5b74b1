-- Format 1. Times are milliseconds since 1970, UTC. Hashes are 32 bytes of SHA-256.

CREATE TABLE migrations (
    number   INTEGER PRIMARY KEY,
    checksum TEXT    NOT NULL,
    applied  INTEGER NOT NULL
) STRICT;

-- One row a run, in order of creation. Appending does not touch it.
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY,
    run           TEXT    NOT NULL UNIQUE,
    service       TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    queue         TEXT    NOT NULL,
    content       BLOB    NOT NULL,             -- digest of what it was created with
    created       INTEGER NOT NULL,
    outcome       TEXT,                         -- absent until it has ended
    epoch         INTEGER NOT NULL DEFAULT 0,   -- rises whenever the right to append changes hands
    owner         TEXT,                         -- who has that right; the lease is in owners
    attended      INTEGER,                      -- when the last owner gave it back
    waits         TEXT,
    superseded_by INTEGER REFERENCES runs (id)
) STRICT;
CREATE INDEX runs_place ON runs (service, environment) WHERE outcome IS NULL AND superseded_by IS NULL;
CREATE INDEX runs_owner ON runs (owner) WHERE outcome IS NULL;
CREATE INDEX runs_superseded ON runs (superseded_by) WHERE superseded_by IS NOT NULL;

-- One lease an owner, for all runs that it has claimed.
CREATE TABLE owners (
    owner   TEXT    PRIMARY KEY,
    until   INTEGER NOT NULL,
    renewed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every record of every run, in order of arrival, so that a commit writes at the end of the table. The unique index is the
-- compare-and-set of an append.
CREATE TABLE records (
    arrival  INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL REFERENCES runs (id),
    position INTEGER NOT NULL,
    envelope TEXT    NOT NULL,                  -- the bytes that are hashed
    hash     BLOB    NOT NULL                   -- SHA-256 of the hash before it and of envelope
) STRICT;
CREATE UNIQUE INDEX records_position ON records (run, position);

-- The lock of a service and environment. It outlives its holders, because its epoch never resets.
CREATE TABLE locks (
    service     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    epoch       INTEGER NOT NULL,
    holder      INTEGER REFERENCES runs (id),
    claim       INTEGER,                        -- the epoch of the claim under which the holder asked last
    PRIMARY KEY (service, environment)
) STRICT, WITHOUT ROWID;

-- What operators said to runs. A row is never deleted, so an id counts once for ever.
CREATE TABLE inputs (
    arrival INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES runs (id),
    input   TEXT    NOT NULL,
    body    TEXT,                               -- absent where a record took an input that never lay here
    state   TEXT    NOT NULL,                   -- waits, taken, or left when the run ended
    UNIQUE (run, input)
) STRICT;
CREATE INDEX inputs_waiting ON inputs (arrival) WHERE state = 'waits';
CREATE INDEX inputs_waiting_by_run ON inputs (run) WHERE state = 'waits';

CREATE TABLE blobs (
    digest BLOB PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE snapshots (
    run      INTEGER PRIMARY KEY REFERENCES runs (id),
    position INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    version  INTEGER NOT NULL,
    state    TEXT    NOT NULL
) STRICT;

-- For people: records with their names and times spelled out.
CREATE VIEW events AS
    SELECT records.arrival, runs.run, records.position,
           strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(records.envelope, '$.at.wall') / 1000.0, 'unixepoch') AS at,
           json_extract(records.envelope, '$.kind') AS kind,
           json_extract(records.envelope, '$.v') AS version,
           json_extract(records.envelope, '$.body') AS body,
           lower(hex(records.hash)) AS hash
    FROM records JOIN runs ON runs.id = records.run;
