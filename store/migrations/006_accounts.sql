-- What somebody may do is told by facts. Machines come in by tokens only, and whoever was invited has no password yet.
ALTER TABLE people ADD COLUMN kind text NOT NULL DEFAULT 'person';
ALTER TABLE people ALTER COLUMN roles SET DEFAULT '{}';
ALTER TABLE people ADD COLUMN break_glass boolean NOT NULL DEFAULT false;
ALTER TABLE people ADD COLUMN description text NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN signed_in_at timestamptz;
ALTER TABLE people ALTER COLUMN email DROP NOT NULL;
ALTER TABLE people ALTER COLUMN password_hash DROP NOT NULL;
ALTER TABLE people ADD CONSTRAINT somebody_is_a_person_or_a_machine CHECK (kind IN ('person', 'machine'));
ALTER TABLE people ADD CONSTRAINT only_people_have_an_email CHECK ((kind = 'person') = (email IS NOT NULL));
ALTER TABLE people ADD CONSTRAINT only_people_have_a_password CHECK (kind = 'person' OR password_hash IS NULL);
CREATE UNIQUE INDEX a_machine_has_its_own_name ON people (name) WHERE kind = 'machine';
CREATE INDEX people_by_age ON people (created_at, id);

-- Wrong passwords, by the network that they came from. The network '' stands for all.
CREATE TABLE failures (
	person        text        NOT NULL,
	network       text        NOT NULL,
	failures      integer     NOT NULL,
	failed_at     timestamptz NOT NULL,
	locked_until  timestamptz NOT NULL,
	CONSTRAINT wrong_passwords_count_by_network PRIMARY KEY (person, network),
	CONSTRAINT wrong_passwords_are_those_of_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX failures_by_age ON failures (failed_at);
ALTER TABLE people DROP COLUMN failures;
ALTER TABLE people DROP COLUMN locked_until;

-- Where somebody gave the right password from. What others guess does not lock them out there.
CREATE TABLE known_networks (
	person        text        NOT NULL,
	network       text        NOT NULL,
	signed_in_at  timestamptz NOT NULL,
	CONSTRAINT a_network_is_known_once PRIMARY KEY (person, network),
	CONSTRAINT a_network_is_known_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX known_networks_by_age ON known_networks (signed_in_at);

-- Single-use links. A new one of a purpose takes the place of the one before.
CREATE TABLE links (
	person      text        NOT NULL,
	purpose     text        NOT NULL,
	token_hash  bytea       NOT NULL,
	ends_at     timestamptz NOT NULL,
	CONSTRAINT a_person_has_one_link_of_a_purpose PRIMARY KEY (person, purpose),
	CONSTRAINT a_token_opens_one_link UNIQUE (token_hash),
	CONSTRAINT the_hash_of_a_link_is_sha_256 CHECK (octet_length(token_hash) = 32),
	CONSTRAINT a_link_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX links_by_end ON links (ends_at);

-- Tokens of machines. What each may do is told by facts.
CREATE TABLE tokens (
	id          text        NOT NULL,
	machine     text        NOT NULL,
	token_hash  bytea       NOT NULL,
	ends_at     timestamptz NOT NULL,
	used_at     timestamptz,
	CONSTRAINT a_machine_token_has_one_id PRIMARY KEY (id),
	CONSTRAINT a_token_is_one_machines UNIQUE (token_hash),
	CONSTRAINT the_hash_of_a_machine_token_is_sha_256 CHECK (octet_length(token_hash) = 32),
	CONSTRAINT a_machine_token_belongs_to_a_machine FOREIGN KEY (machine) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX tokens_of_a_machine ON tokens (machine);
CREATE INDEX tokens_by_end ON tokens (ends_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON failures, known_networks, links, tokens TO sb_app;
