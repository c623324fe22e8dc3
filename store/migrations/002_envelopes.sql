CREATE TABLE envelopes (
	id           text        NOT NULL,
	request      text        NOT NULL,
	job          text        NOT NULL,
	attempt      bigint      NOT NULL,
	key          text        NOT NULL,
	connection   text        NOT NULL,
	ref          text        NOT NULL,
	agent        text        NOT NULL,
	agent_key    text        NOT NULL,
	expires_at   timestamptz NOT NULL,
	box          bytea       NOT NULL,
	wrapped      bytea       NOT NULL,
	kms_key      text        NOT NULL,
	fingerprint  text        NOT NULL,
	created_at   timestamptz NOT NULL,
	CONSTRAINT an_envelope_has_one_id PRIMARY KEY (id)
);

CREATE INDEX envelopes_of_a_request ON envelopes (request);
CREATE INDEX envelopes_by_end ON envelopes (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON envelopes TO sb_app;
