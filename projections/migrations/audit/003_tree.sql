-- The log as a tree (RFC 6962, section 2.1): the hash of a commit is that of a leaf, SHA-256 of
-- a zero byte and its bytes. What was folded before is hashed again from the stored bytes; at the
-- next start all of it is compared with the log.
ALTER TABLE commits RENAME CONSTRAINT a_hash_is_sha_256 TO a_hash_is_that_of_a_leaf;

ALTER TABLE commits ALTER COLUMN hash TYPE bytea USING sha256('\x00'::bytea || raw);

-- The views of this audit have a position with it, in one transaction. Where there are no views
-- yet there is nothing in here either.
DO $$
DECLARE
	positions text := format('%I.positions', replace(current_schema(), 'audit', 'views'));
BEGIN
	IF to_regclass(positions) IS NOT NULL THEN
		EXECUTE format('UPDATE %s p SET hash = c.hash FROM commits c WHERE c.seq = p.seq', positions);
	END IF;
END
$$;

-- Roots of full subtrees of 256^level commits, level 1 and above, counted from the left from 0:
-- the hashes of tiles (c2sp.org/tlog-tiles). Those of level 0 are in commits.
CREATE TABLE nodes (
	level   integer  NOT NULL,
	number  bigint   NOT NULL,
	hash    bytea    NOT NULL,
	CONSTRAINT a_subtree_has_one_root PRIMARY KEY (level, number),
	CONSTRAINT a_root_is_sha_256 CHECK (octet_length(hash) = 32)
);

-- Eight times over, two hashes become the one above them.
DO $$
DECLARE
	above    integer := 1;
	complete bigint;
BEGIN
	CREATE UNLOGGED TABLE below AS SELECT seq - 1 AS number, hash FROM commits;
	LOOP
		SELECT count(*) / 256 INTO complete FROM below;
		EXIT WHEN complete = 0;
		DELETE FROM below WHERE number >= complete * 256;
		FOR half IN 1..8 LOOP
			CREATE UNLOGGED TABLE halved AS
			SELECT l.number / 2 AS number, sha256('\x01'::bytea || l.hash || r.hash) AS hash
			FROM   below l
			JOIN   below r ON r.number = l.number + 1
			WHERE  l.number % 2 = 0;
			DROP TABLE below;
			ALTER TABLE halved RENAME TO below;
		END LOOP;
		INSERT INTO nodes SELECT above, number, hash FROM below;
		above := above + 1;
	END LOOP;
	DROP TABLE below;
END
$$;

CREATE TRIGGER nodes_are_never_changed
	BEFORE UPDATE OR DELETE ON nodes
	FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER nodes_are_never_emptied
	BEFORE TRUNCATE ON nodes
	FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE nodes ENABLE ALWAYS TRIGGER nodes_are_never_changed;
ALTER TABLE nodes ENABLE ALWAYS TRIGGER nodes_are_never_emptied;

GRANT SELECT, INSERT ON nodes TO sb_app;

-- A commit that was appended again has the same events in the same history. Commands that touch
-- several histories have their number in each.
CREATE UNIQUE INDEX an_event_is_recorded_once ON events (id COLLATE "C", stream COLLATE "C");
