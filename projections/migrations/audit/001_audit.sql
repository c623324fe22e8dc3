-- The record for auditors: every commit as it is stored in the log, byte for byte, and
-- one row for each event to search by. Nobody but the folder of facts writes here, and
-- nobody changes or removes a row.
CREATE TABLE commits (
	seq   bigint  NOT NULL,
	hash  bytea   NOT NULL,
	raw   bytea   NOT NULL,
	CONSTRAINT a_sequence_has_one_commit PRIMARY KEY (seq),
	CONSTRAINT a_hash_is_sha_256 CHECK (octet_length(hash) = 32)
);

CREATE TABLE events (
	seq          bigint       NOT NULL,
	place        integer      NOT NULL,
	id           text         NOT NULL,
	type         text         NOT NULL,
	stream       text         NOT NULL,
	time         timestamptz  NOT NULL,
	actor        text         NOT NULL,
	correlation  text         NOT NULL,
	command      text         NOT NULL,
	CONSTRAINT an_event_has_one_place PRIMARY KEY (seq, place)
);

CREATE INDEX events_of_a_stream ON events (stream, seq);
CREATE INDEX events_of_an_actor ON events (actor, seq);
CREATE INDEX events_of_a_correlation ON events (correlation, seq);
CREATE INDEX events_of_a_type ON events (type text_pattern_ops, seq);
CREATE INDEX events_in_time ON events USING brin (time);

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	RAISE EXCEPTION 'the audit is append-only: % of %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'insufficient_privilege',
		      HINT = 'to fold it again from the log, run: sb-server rebuild';
END
$$;

CREATE TRIGGER commits_are_never_changed
	BEFORE UPDATE OR DELETE ON commits
	FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER commits_are_never_emptied
	BEFORE TRUNCATE ON commits
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER events_are_never_changed
	BEFORE UPDATE OR DELETE ON events
	FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER events_are_never_emptied
	BEFORE TRUNCATE ON events
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Also when somebody sets session_replication_role.
ALTER TABLE commits ENABLE ALWAYS TRIGGER commits_are_never_changed;
ALTER TABLE commits ENABLE ALWAYS TRIGGER commits_are_never_emptied;
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_never_changed;
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_never_emptied;

GRANT SELECT, INSERT ON commits, events TO sb_app;
