-- Signed states of the log, outside of the log: whoever cuts the log off, or puts another in its
-- place, does not have the tree that was signed. Nothing in a row is secret. A size has one
-- checkpoint, and larger ones alone are added; none is changed.
CREATE TABLE checkpoints (
	size       bigint       NOT NULL,
	root       bytea        NOT NULL,
	signed     bytea        NOT NULL,
	signed_at  timestamptz  NOT NULL,
	CONSTRAINT a_size_has_one_checkpoint PRIMARY KEY (size),
	CONSTRAINT a_checkpoint_has_leaves CHECK (size > 0),
	CONSTRAINT a_root_is_sha_256 CHECK (octet_length(root) = 32)
);

CREATE INDEX checkpoints_by_age ON checkpoints (signed_at);

CREATE FUNCTION checkpoints_only_grow() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF EXISTS (SELECT FROM private.checkpoints WHERE size >= NEW.size) THEN
		RAISE EXCEPTION 'a checkpoint of % leaves or more is kept already', NEW.size
			USING ERRCODE = 'unique_violation', CONSTRAINT = 'checkpoints_only_grow';
	END IF;
	RETURN NEW;
END
$$;

CREATE TRIGGER checkpoints_only_grow
	BEFORE INSERT ON checkpoints
	FOR EACH ROW EXECUTE FUNCTION checkpoints_only_grow();

-- What witnesses said to them. A witness may say it again later, with a newer time.
CREATE TABLE cosignatures (
	size     bigint  NOT NULL,
	witness  text    NOT NULL,
	line     text    NOT NULL,
	CONSTRAINT a_witness_cosigns_a_size_once PRIMARY KEY (size, witness),
	CONSTRAINT what_is_cosigned_is_kept FOREIGN KEY (size) REFERENCES checkpoints (size) ON DELETE CASCADE
);

CREATE INDEX cosignatures_of_a_witness ON cosignatures (witness, size);

GRANT SELECT, INSERT, DELETE ON checkpoints TO sb_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON cosignatures TO sb_app;
