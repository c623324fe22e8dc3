-- Whoever comes in by an identity provider alone has no password.
ALTER TABLE people ALTER COLUMN password_hash DROP NOT NULL;

-- Who is who at the identity provider. Issuer and subject are the whole key: e-mail is none.
CREATE TABLE identities (
	issuer     text        NOT NULL,
	subject    text        NOT NULL,
	person     text        NOT NULL,
	created_at timestamptz NOT NULL,
	CONSTRAINT an_identity_is_one_person PRIMARY KEY (issuer, subject),
	CONSTRAINT an_identity_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

CREATE INDEX identities_of_a_person ON identities (person);

-- Sign-ins that were begun. Each is taken once, by its state, in the browser that has the cookie.
CREATE TABLE logins (
	state_hash  bytea       NOT NULL,
	cookie_hash bytea       NOT NULL,
	nonce       text        NOT NULL,
	verifier    text        NOT NULL,
	return_to   text        NOT NULL,
	cli_port    integer     NOT NULL, -- 0: a browser's own sign-in
	challenge   text        NOT NULL, -- of the command line
	ends_at     timestamptz NOT NULL,
	CONSTRAINT a_state_is_of_one_login PRIMARY KEY (state_hash),
	CONSTRAINT a_state_hash_is_sha_256 CHECK (octet_length(state_hash) = 32),
	CONSTRAINT a_cookie_hash_is_sha_256 CHECK (octet_length(cookie_hash) = 32)
);

CREATE INDEX logins_by_end ON logins (ends_at);

-- Codes that the command line trades for a session, once.
CREATE TABLE sign_in_codes (
	code_hash bytea       NOT NULL,
	challenge text        NOT NULL,
	person    text        NOT NULL,
	issuer    text        NOT NULL,
	subject   text        NOT NULL,
	sid       text, -- the session at the identity provider
	ends_at   timestamptz NOT NULL,
	CONSTRAINT a_code_is_of_one_sign_in PRIMARY KEY (code_hash),
	CONSTRAINT a_code_hash_is_sha_256 CHECK (octet_length(code_hash) = 32),
	CONSTRAINT a_code_belongs_to_a_person FOREIGN KEY (person) REFERENCES people ON DELETE CASCADE
);

CREATE INDEX sign_in_codes_by_end ON sign_in_codes (ends_at);

-- Log-out tokens that were obeyed, for as long as one could be sent again.
CREATE TABLE logout_tokens (
	issuer  text        NOT NULL,
	jti     text        NOT NULL,
	ends_at timestamptz NOT NULL,
	CONSTRAINT a_logout_token_counts_once PRIMARY KEY (issuer, jti)
);

CREATE INDEX logout_tokens_by_end ON logout_tokens (ends_at);

-- Where a session comes from. The ID token is sealed under the session's own token, which is
-- nowhere here.
ALTER TABLE sessions ADD COLUMN oidc_issuer text;
ALTER TABLE sessions ADD COLUMN oidc_sub text;
ALTER TABLE sessions ADD COLUMN oidc_sid text;
ALTER TABLE sessions ADD COLUMN oidc_id_token bytea;
CREATE INDEX sessions_of_an_identity ON sessions (oidc_issuer, oidc_sub);

GRANT SELECT, INSERT, UPDATE, DELETE ON identities, logins, sign_in_codes, logout_tokens TO sb_app;
