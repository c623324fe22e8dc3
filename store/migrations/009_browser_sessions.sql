-- A browser's session lasts while it is renewed, and has another token after each time.
ALTER TABLE sessions ADD COLUMN browser boolean NOT NULL DEFAULT false;
ALTER TABLE sessions ADD COLUMN rotated_at timestamptz; -- when the token became what it is
UPDATE sessions SET browser = true, rotated_at = created_at WHERE oidc_issuer IS NOT NULL AND public_key IS NULL;
ALTER TABLE sessions ADD CONSTRAINT the_token_of_a_browser_alone_is_replaced CHECK (browser = (rotated_at IS NOT NULL));
ALTER TABLE sessions ADD CONSTRAINT a_browsers_session_has_no_key CHECK (NOT browser OR public_key IS NULL);

-- Tokens that a session had before. Each counts for a moment more, and betrays a copy ever after.
CREATE TABLE former_tokens (
	token_hash    bytea       NOT NULL,
	session       text        NOT NULL,
	salt          bytea       NOT NULL, -- with the token itself it makes the next one
	counts_until  timestamptz NOT NULL,
	CONSTRAINT a_former_token_was_one_sessions PRIMARY KEY (token_hash),
	CONSTRAINT the_hash_of_a_former_token_is_sha_256 CHECK (octet_length(token_hash) = 32),
	CONSTRAINT a_former_token_belongs_to_a_session FOREIGN KEY (session) REFERENCES sessions ON DELETE CASCADE
);
CREATE INDEX former_tokens_of_a_session ON former_tokens (session);

GRANT SELECT, INSERT, UPDATE, DELETE ON former_tokens TO sb_app;
