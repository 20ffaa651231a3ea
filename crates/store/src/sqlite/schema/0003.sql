-- What must outlast the process that knew it, and how much dead letters take.

-- The number of its newest event. Of an older file that is what is still known of it.
ALTER TABLE conversations ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET seq = utterances
    + (SELECT count(*) FROM events WHERE conversation = conversations.id);

-- How often its receiver said that the event itself is wrong.
ALTER TABLE outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;

ALTER TABLE depths ADD COLUMN dead_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE depths SET dead_bytes =
    (SELECT coalesce(sum(bytes), 0) FROM dead WHERE endpoint = depths.endpoint);
DROP TRIGGER dead_grows;
CREATE TRIGGER dead_grows AFTER INSERT ON dead BEGIN
    INSERT INTO depths (endpoint, dead, dead_bytes) VALUES (NEW.endpoint, 1, NEW.bytes)
    ON CONFLICT (endpoint) DO UPDATE
    SET dead = dead + 1, dead_bytes = dead_bytes + NEW.bytes;
END;
DROP TRIGGER dead_shrinks;
CREATE TRIGGER dead_shrinks AFTER DELETE ON dead BEGIN
    UPDATE depths SET dead = dead - 1, dead_bytes = dead_bytes - OLD.bytes
    WHERE endpoint = OLD.endpoint;
END;
