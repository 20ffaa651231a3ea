-- Times are unix time in milliseconds. What is BLOB is sealed, but for ids and keys.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Keys of conversations, so many in a row; see sqlite/keys.rs.
CREATE TABLE seals (
    slab INTEGER PRIMARY KEY,
    keys BLOB NOT NULL
);

CREATE TABLE conversations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    ulid       BLOB NOT NULL UNIQUE,
    namespace  TEXT NOT NULL,
    guid       TEXT NOT NULL,
    tenant     TEXT,
    began      INTEGER NOT NULL,
    ended      INTEGER,
    fault      TEXT,
    reason     TEXT,
    last_heard INTEGER NOT NULL,
    utterances INTEGER NOT NULL DEFAULT 0,
    lost_ms    INTEGER NOT NULL DEFAULT 0,
    -- 1: its rows are being removed. 2: they are, and its key is kept for what waits in the outbox.
    leaving    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conversations_call ON conversations (guid, namespace);
CREATE INDEX conversations_began ON conversations (began);
CREATE INDEX conversations_heard ON conversations (last_heard) WHERE leaving = 0;
CREATE INDEX conversations_leaving ON conversations (leaving) WHERE leaving > 0;

CREATE TABLE names (
    guid         TEXT NOT NULL,
    namespace    TEXT NOT NULL,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    PRIMARY KEY (guid, namespace, conversation)
) WITHOUT ROWID;
CREATE INDEX names_conversation ON names (conversation);

CREATE TABLE legs (
    conversation    INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    boot            INTEGER NOT NULL,
    leg             INTEGER NOT NULL,
    side            TEXT,
    role            INTEGER,
    role_reason     TEXT,
    role_confidence TEXT,
    opened          INTEGER NOT NULL,
    ended           INTEGER,
    fault           TEXT,
    reason          TEXT,
    counters        TEXT,
    PRIMARY KEY (conversation, boot, leg)
) WITHOUT ROWID;

CREATE TABLE streams (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    stream       TEXT NOT NULL,
    role         INTEGER,
    service      TEXT,
    opened       INTEGER NOT NULL,
    ended        INTEGER,
    code         INTEGER,
    description  TEXT,
    audio_bytes  INTEGER,
    audio_ms     INTEGER,
    streaming_ms INTEGER,
    transcripts  INTEGER,
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;

-- id: the conversation, and below it the number in the conversation; so that what is read together
-- lies together.
CREATE TABLE utterances (
    id       INTEGER PRIMARY KEY,
    message  BLOB NOT NULL,
    stream   INTEGER NOT NULL,
    role     INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    said     INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    spoken   BLOB NOT NULL
);
CREATE UNIQUE INDEX utterances_message ON utterances (message);
CREATE INDEX utterances_created ON utterances (created);

CREATE TABLE gaps (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    stream       INTEGER NOT NULL,
    role         INTEGER NOT NULL,
    from_ms      INTEGER NOT NULL,
    to_ms        INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;

CREATE TABLE pauses (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    began        INTEGER NOT NULL,
    ended        INTEGER,
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;

CREATE TABLE commands (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL,
    verb         TEXT NOT NULL,
    key          TEXT NOT NULL,
    address      BLOB NOT NULL,
    outcome      TEXT NOT NULL,
    request      TEXT NOT NULL
);
CREATE INDEX commands_conversation ON commands (conversation);

CREATE TABLE events (
    id           INTEGER PRIMARY KEY,
    boot         INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    json         BLOB NOT NULL
);
CREATE UNIQUE INDEX events_place ON events (boot, number);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_conversation ON events (conversation);

-- conversation: 0 if the lane is no call's.
CREATE TABLE outbox (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint     TEXT NOT NULL,
    lane         TEXT NOT NULL,
    conversation INTEGER NOT NULL,
    id           TEXT NOT NULL,
    kind         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    made         INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE INDEX outbox_endpoint ON outbox (endpoint);
CREATE INDEX outbox_made ON outbox (endpoint, made);
CREATE INDEX outbox_conversation ON outbox (conversation);

-- number: as it was in the outbox.
CREATE TABLE dead (
    number       INTEGER PRIMARY KEY,
    endpoint     TEXT NOT NULL,
    lane         TEXT NOT NULL,
    conversation INTEGER NOT NULL,
    id           TEXT NOT NULL,
    kind         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    made         INTEGER NOT NULL,
    died         INTEGER NOT NULL,
    why          TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE INDEX dead_endpoint ON dead (endpoint);
CREATE INDEX dead_died ON dead (died);
CREATE INDEX dead_conversation ON dead (conversation);

-- How much waits for an endpoint, without counting it each time.
CREATE TABLE depths (
    endpoint TEXT PRIMARY KEY,
    waiting  INTEGER NOT NULL DEFAULT 0,
    bytes    INTEGER NOT NULL DEFAULT 0,
    dead     INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TRIGGER outbox_grows AFTER INSERT ON outbox BEGIN
    INSERT INTO depths (endpoint, waiting, bytes) VALUES (NEW.endpoint, 1, NEW.bytes)
    ON CONFLICT (endpoint) DO UPDATE SET waiting = waiting + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER outbox_shrinks AFTER DELETE ON outbox BEGIN
    UPDATE depths SET waiting = waiting - 1, bytes = bytes - OLD.bytes
    WHERE endpoint = OLD.endpoint;
END;
CREATE TRIGGER dead_grows AFTER INSERT ON dead BEGIN
    INSERT INTO depths (endpoint, dead) VALUES (NEW.endpoint, 1)
    ON CONFLICT (endpoint) DO UPDATE SET dead = dead + 1;
END;
CREATE TRIGGER dead_shrinks AFTER DELETE ON dead BEGIN
    UPDATE depths SET dead = dead - 1 WHERE endpoint = OLD.endpoint;
END;
