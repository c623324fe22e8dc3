-- Secrets of integrations, and the addresses by which people have themselves told. They are sealed
-- under data keys that only the KMS unwraps, and bound to owner, kind and version: a row does not
-- open as anybody else's.
CREATE TABLE integration_secrets (
	id             text         NOT NULL,
	integration    text,
	person         text,
	secret         text         NOT NULL,
	version        integer      NOT NULL,
	box            bytea        NOT NULL,
	wrapped        bytea        NOT NULL,
	kms_key        text         NOT NULL,
	overlap_until  timestamptz,            -- of one that another one replaces: exclusive
	created_at     timestamptz  NOT NULL,
	CONSTRAINT a_sealed_secret_has_one_id PRIMARY KEY (id),
	CONSTRAINT a_secret_is_of_an_integration_or_a_person CHECK ((integration IS NULL) <> (person IS NULL)),
	CONSTRAINT an_integration_has_a_version_once UNIQUE (integration, secret, version),
	CONSTRAINT a_person_has_a_version_once UNIQUE (person, secret, version),
	CONSTRAINT a_sealed_secret_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

GRANT SELECT, INSERT, UPDATE, DELETE ON integration_secrets TO sb_app;
