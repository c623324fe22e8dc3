ALTER TABLE connections ADD COLUMN discover_every bigint NOT NULL DEFAULT 0;
ALTER TABLE connections ALTER COLUMN discover_every DROP DEFAULT;

-- Jobs that no request stands behind.
CREATE TABLE jobs (
	id              text         NOT NULL,
	seq             bigint       NOT NULL,
	last_seq        bigint       NOT NULL,
	state           text         NOT NULL,
	operation       text         NOT NULL,
	connection      text         NOT NULL,
	cluster         text         NOT NULL,
	provider        text         NOT NULL,
	number          bigint       NOT NULL,
	scheduled       boolean      NOT NULL,
	secret          text         NOT NULL,
	ref             text         NOT NULL,
	queued_at       timestamptz  NOT NULL,
	queued_by       text         NOT NULL,
	until           timestamptz  NOT NULL,
	agent           text         NOT NULL,
	attempt         bigint       NOT NULL,
	taken_at        timestamptz,
	ended_at        timestamptz,
	result          json         NOT NULL,
	keys            bigint       NOT NULL,
	version         text         NOT NULL,
	failure_code    text         NOT NULL,
	failure_detail  text         NOT NULL,
	reason          text         NOT NULL,
	CONSTRAINT a_job_has_one_row PRIMARY KEY (id)
);

CREATE INDEX jobs_newest_first ON jobs (seq);
CREATE INDEX jobs_of_a_connection ON jobs (connection, number);
CREATE INDEX jobs_that_are_open ON jobs (seq) WHERE state IN ('queued', 'running');

-- Connections of which a scan said anything. number is the order in which that was.
-- complete_at is when the last scan began that met all of it, and complete_seq the commit
-- that ended it; null and 0 before the first.
CREATE TABLE scanned_connections (
	connection    text COLLATE "C"  NOT NULL,
	number        bigint            NOT NULL,
	complete_seq  bigint            NOT NULL,
	complete_at   timestamptz,
	CONSTRAINT a_connection_is_scanned_as_one PRIMARY KEY (connection)
);

-- What scans met. place is the order of all lists: the number of the connection, then
-- the commit that first named the secret, then where in it, in 12, 34 and 17 bits. So a
-- connection is a range of places, and a place never changes. words is what a search
-- looks through. told_version is the last version that was not empty: of a disabled one a
-- provider may tell none. seen_at is the newest fact of a scan about the secret.
CREATE TABLE secrets (
	place          bigint            NOT NULL,
	id             text COLLATE "C"  NOT NULL,
	connection     text COLLATE "C"  NOT NULL,
	ref            text COLLATE "C"  NOT NULL,
	labels         jsonb             NOT NULL,
	words          text COLLATE "C"  NOT NULL,
	version        text COLLATE "C"  NOT NULL,
	told_version   text COLLATE "C"  NOT NULL,
	created_at     timestamptz,
	updated_at     timestamptz,
	rotated_at     timestamptz,
	first_seen_at  timestamptz       NOT NULL,
	seen_at        timestamptz       NOT NULL,
	status         text COLLATE "C"  NOT NULL,
	gone_at        timestamptz,
	seq            bigint            NOT NULL,
	last_seq       bigint            NOT NULL,
	CONSTRAINT a_secret_has_one_place PRIMARY KEY (place),
	CONSTRAINT a_secret_has_one_row UNIQUE (id)
);

-- Texts of any length are indexed by their beginning or by a hash: an entry of a btree
-- has 2704 bytes at most. Without a list of what is pending, a search by labels costs
-- the same right after a scan.
CREATE INDEX secrets_by_labels ON secrets USING gin (labels jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX present_secrets_of_a_connection ON secrets (connection, id) WHERE status = 'present';
CREATE INDEX secrets_by_ref ON secrets (left(ref, 200), place);
CREATE INDEX secrets_by_rotation ON secrets (rotated_at, place) WHERE status = 'present';
CREATE INDEX secrets_that_are_gone ON secrets (place) WHERE status = 'gone';

-- One row for each label of each secret, in the order of the lists. label is half of
-- the SHA-256 of name and value.
CREATE TABLE secret_labels (
	label  uuid    NOT NULL,
	place  bigint  NOT NULL,
	CONSTRAINT a_secret_has_a_label_once PRIMARY KEY (label, place)
);

-- Whose a secret is: beside the secrets, so that another set of rules rewrites small
-- rows with few indexes.
CREATE TABLE secret_owners (
	place             bigint            NOT NULL,
	owner             text COLLATE "C"  NOT NULL,
	owner_from        text              NOT NULL,
	environment       text COLLATE "C"  NOT NULL,
	environment_from  text              NOT NULL,
	CONSTRAINT a_secret_is_owned_once PRIMARY KEY (place)
);

CREATE INDEX secrets_by_owner ON secret_owners (left(owner, 200), place);
CREATE INDEX secrets_by_environment ON secret_owners (left(environment, 200), place);

-- What people said by hand, also of a secret that no scan has met.
CREATE TABLE secret_assignments (
	secret       text COLLATE "C"  NOT NULL,
	owner        text              NOT NULL,
	environment  text              NOT NULL,
	seq          bigint            NOT NULL,
	CONSTRAINT a_secret_is_assigned_once PRIMARY KEY (secret)
);

-- The rules in force: one row, or none before the first.
CREATE TABLE ownership_rules (
	setting  text    NOT NULL,
	version  bigint  NOT NULL,
	seq      bigint  NOT NULL,
	rules    json    NOT NULL,
	CONSTRAINT rules_are_replaced_as_a_whole PRIMARY KEY (setting)
);

-- Counters. A row that would count nothing is not there.
CREATE TABLE secret_counts (
	connection  text COLLATE "C"  NOT NULL,
	status      text COLLATE "C"  NOT NULL,
	n           bigint            NOT NULL,
	CONSTRAINT secrets_of_a_status_are_counted_once PRIMARY KEY (connection, status)
);

-- Of present secrets. A row with an empty value and the parent of all zeros counts the
-- secrets that have a label of that name; its label is the parent of those with values.
CREATE TABLE label_counts (
	label       uuid              NOT NULL,
	connection  text COLLATE "C"  NOT NULL,
	parent      uuid              NOT NULL,
	name        text COLLATE "C"  NOT NULL,
	value       text COLLATE "C"  NOT NULL,
	n           bigint            NOT NULL,
	CONSTRAINT a_label_is_counted_once PRIMARY KEY (label, connection)
);

CREATE INDEX labels_most_frequent_first ON label_counts (connection, parent, n DESC, label);

-- Changes of versions that scans met. place is where the log has it: the commit, and
-- where in it, in 46 and 17 bits. ours: patches that were executed lead there.
CREATE TABLE version_changes (
	place         bigint            NOT NULL,
	secret        text COLLATE "C"  NOT NULL,
	kind          text              NOT NULL,
	from_version  text COLLATE "C"  NOT NULL,
	to_version    text COLLATE "C"  NOT NULL,
	seen_at       timestamptz       NOT NULL,
	scan          text              NOT NULL,
	ours          boolean           NOT NULL,
	CONSTRAINT a_change_of_a_version_has_one_row PRIMARY KEY (place)
);

CREATE INDEX changes_of_a_secret ON version_changes (secret);
CREATE INDEX changes_out_of_band ON version_changes (place) WHERE NOT ours;
CREATE INDEX patches_by_what_they_wrote ON requests (md5(ref), md5(provider_version)) WHERE operation = 'patch';

GRANT SELECT, INSERT, UPDATE ON jobs, scanned_connections, secrets, secret_owners, secret_assignments, ownership_rules, version_changes TO sb_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON secret_labels, secret_counts, label_counts TO sb_app;
