-- How far a job over a connection came, and what it met: it must be remembered for as long
-- as the job runs, and no longer.
CREATE TABLE scans (
	job         text        NOT NULL,
	attempt     bigint      NOT NULL,
	pages       bigint      NOT NULL,
	cursor      text        NOT NULL,
	digest      bytea       NOT NULL,
	seq         bigint      NOT NULL,
	tally       jsonb       NOT NULL,
	changed_at  timestamptz NOT NULL,
	CONSTRAINT a_scan_has_one_row PRIMARY KEY (job)
);

CREATE TABLE scanned (
	job     text COLLATE "C" NOT NULL,
	secret  text COLLATE "C" NOT NULL,
	CONSTRAINT a_scan_meets_a_secret_once PRIMARY KEY (job, secret)
);

-- Keyed fingerprints of values. The agents' key makes them; it is not here. Those of a job
-- count when it is finished, and until the next one of its connection is.
CREATE TABLE fingerprints (
	job         text             NOT NULL,
	connection  text             NOT NULL,
	secret      text COLLATE "C" NOT NULL,
	ref         text             NOT NULL,
	version     text             NOT NULL, -- of the secret, then; empty: the provider told none
	key_id      text             NOT NULL,
	print       text COLLATE "C" NOT NULL,
	made_at     timestamptz      NOT NULL,
	counts      boolean          NOT NULL,
	CONSTRAINT a_print_of_a_secret_is_there_once PRIMARY KEY (job, secret, print)
);

CREATE INDEX fingerprints_that_meet ON fingerprints (key_id, print) WHERE counts;
CREATE INDEX fingerprints_of_a_connection ON fingerprints (connection);

-- Names of the keys of a secret, until whoever asked for them had time to look.
CREATE TABLE key_names (
	job         text        NOT NULL,
	names       jsonb       NOT NULL,
	expires_at  timestamptz NOT NULL,
	CONSTRAINT names_are_told_for_one_job PRIMARY KEY (job)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON scans, scanned, fingerprints, key_names TO sb_app;
