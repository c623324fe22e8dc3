-- The keys of the installation, which all servers share: each is sealed under a data key that only
-- the KMS unwraps, and bound to its name and revision. A row does not open under another name, and
-- one that is put back does not open as what came after it.
CREATE TABLE keyring (
	name        text         NOT NULL,
	revision    bigint       NOT NULL,
	box         bytea        NOT NULL,
	wrapped     bytea        NOT NULL,
	kms_key     text         NOT NULL,
	changed_at  timestamptz  NOT NULL,
	CONSTRAINT a_key_has_one_name PRIMARY KEY (name),
	CONSTRAINT revisions_count_from_one CHECK (revision > 0)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON keyring TO sb_app;
