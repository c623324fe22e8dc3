-- What is told of facts, and what is looked at. Removed ones stay: their names are not free again.
CREATE TABLE integrations (
	name             text COLLATE "C"  NOT NULL,
	seq              bigint            NOT NULL,
	last_seq         bigint            NOT NULL,
	state            text              NOT NULL,
	kind             text              NOT NULL,
	settings         json              NOT NULL,
	secrets          json              NOT NULL, -- that there are, never which
	mappings         bigint            NOT NULL,
	disabled_reason  text              NOT NULL,
	created_at       timestamptz       NOT NULL,
	created_by       text              NOT NULL,
	changed_at       timestamptz       NOT NULL,
	CONSTRAINT an_integration_has_one_row PRIMARY KEY (name)
);

CREATE INDEX integrations_newest_first ON integrations (seq) WHERE state <> 'removed';

-- Which applications use which secrets: one by its ref, or all with some labels.
CREATE TABLE mappings (
	integration  text COLLATE "C"  NOT NULL,
	id           text COLLATE "C"  NOT NULL,
	seq          bigint            NOT NULL,
	connection   text COLLATE "C"  NOT NULL,
	ref          text COLLATE "C"  NOT NULL,
	labels       jsonb             NOT NULL,
	target       json              NOT NULL,
	origin       text              NOT NULL,
	added_at     timestamptz       NOT NULL,
	removed_at   timestamptz,
	CONSTRAINT a_mapping_has_one_row PRIMARY KEY (integration, id)
);

CREATE INDEX mappings_of_an_integration ON mappings (integration, seq) WHERE removed_at IS NULL;
CREATE INDEX mappings_of_a_secret ON mappings (connection, md5(ref)) WHERE removed_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON integrations, mappings TO sb_app;
