CREATE TABLE people (
	id                    text        NOT NULL,
	email                 text        NOT NULL,
	name                  text        NOT NULL,
	password_hash         text        NOT NULL,
	roles                 text[]      NOT NULL,
	disabled              boolean     NOT NULL DEFAULT false,
	failures              integer     NOT NULL DEFAULT 0,
	locked_until          timestamptz,
	created_at            timestamptz NOT NULL,
	CONSTRAINT a_person_has_one_id PRIMARY KEY (id),
	CONSTRAINT an_email_belongs_to_one_person UNIQUE (email),
	CONSTRAINT an_email_is_in_lower_case CHECK (email = lower(email))
);

CREATE TABLE sessions (
	id          text        NOT NULL,
	token_hash  bytea       NOT NULL,
	person      text        NOT NULL,
	created_at  timestamptz NOT NULL,
	touched_at  timestamptz NOT NULL,
	ends_at     timestamptz NOT NULL,
	CONSTRAINT a_session_has_one_id PRIMARY KEY (id),
	CONSTRAINT a_token_opens_one_session UNIQUE (token_hash),
	CONSTRAINT a_token_hash_is_sha_256 CHECK (octet_length(token_hash) = 32),
	CONSTRAINT a_session_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

CREATE INDEX sessions_of_a_person ON sessions (person);
CREATE INDEX sessions_by_end ON sessions (ends_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON people, sessions TO sb_app;
