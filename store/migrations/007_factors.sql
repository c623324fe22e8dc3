-- Second factors. What they are recognised by is sealed under data keys that only the KMS
-- unwraps, and bound to person and factor: a row does not open as anybody else's.
CREATE TABLE factors (
	id             text        NOT NULL,
	person         text        NOT NULL,
	kind           text        NOT NULL,
	name           text        NOT NULL,
	credential     bytea,
	box            bytea       NOT NULL,
	wrapped        bytea       NOT NULL,
	kms_key        text        NOT NULL,
	sign_count     bigint      NOT NULL,
	last_step      bigint      NOT NULL,           -- of an app, newest that was used; of 30 seconds
	failures       integer     NOT NULL DEFAULT 0, -- wrong codes in a row
	failing_since  timestamptz,
	locked_until   timestamptz,
	created_at     timestamptz NOT NULL,
	enrolled_at    timestamptz,                    -- empty: it does not count yet
	used_at        timestamptz,
	removed_for    text,                           -- it counts no more, and this is not recorded yet
	CONSTRAINT a_factor_has_one_id PRIMARY KEY (id),
	CONSTRAINT a_passkey_is_enrolled_once UNIQUE (credential),
	CONSTRAINT a_factor_is_a_passkey_or_an_app CHECK (kind = 'passkey' AND credential IS NOT NULL OR kind = 'totp' AND credential IS NULL),
	CONSTRAINT a_factor_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

CREATE INDEX factors_of_a_person ON factors (person);

CREATE TABLE recovery_codes (
	person   text        NOT NULL,
	hash     bytea       NOT NULL,
	made_at  timestamptz NOT NULL,
	used_at  timestamptz,
	CONSTRAINT a_recovery_code_is_there_once PRIMARY KEY (person, hash),
	CONSTRAINT a_recovery_hash_is_sha_256 CHECK (octet_length(hash) = 32),
	CONSTRAINT a_recovery_code_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

-- What a session's browser was asked, until it answers: one question for each purpose.
CREATE TABLE challenges (
	session     text        NOT NULL,
	purpose     text        NOT NULL,
	data        bytea       NOT NULL,
	expires_at  timestamptz NOT NULL,
	CONSTRAINT a_session_is_asked_one_thing_at_a_time PRIMARY KEY (session, purpose),
	CONSTRAINT a_challenge_belongs_to_a_session FOREIGN KEY (session) REFERENCES sessions ON DELETE CASCADE
);

-- When the session's owner last proved a second factor in it, and of which kind.
ALTER TABLE sessions ADD COLUMN stepped_up_at timestamptz;
ALTER TABLE sessions ADD COLUMN stepped_up_by text;
ALTER TABLE sessions ADD CONSTRAINT a_step_up_has_time_and_kind CHECK ((stepped_up_at IS NULL) = (stepped_up_by IS NULL));

GRANT SELECT, INSERT, UPDATE, DELETE ON factors, recovery_codes, challenges TO sb_app;
