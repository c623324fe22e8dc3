-- Everything here is folded from facts and may be dropped and folded again. Nothing
-- may depend on the clock, on chance or on a sequence.

-- Where a projection stands: the last commit it folded, and the SHA-256 of its bytes.
CREATE TABLE positions (
	projection  text    NOT NULL,
	seq         bigint  NOT NULL,
	hash        bytea   NOT NULL,
	CONSTRAINT a_projection_stands_at_one_position PRIMARY KEY (projection)
);

INSERT INTO positions (projection, seq, hash)
VALUES ('views', 0, '');

-- seq is the sequence of the commit that opened the history, last_seq of the newest.
-- Texts that do not apply are empty; times that have not come are null.
CREATE TABLE requests (
	id                    text         NOT NULL,
	seq                   bigint       NOT NULL,
	last_seq              bigint       NOT NULL,
	state                 text         NOT NULL,
	operation             text         NOT NULL,
	requester             text         NOT NULL,
	connection            text         NOT NULL,
	cluster               text         NOT NULL,
	ref                   text         NOT NULL,
	keys                  json         NOT NULL,
	reason                text         NOT NULL,
	workflow              json         NOT NULL,
	votes                 json         NOT NULL,
	correlation           text         NOT NULL,
	submitted_at          timestamptz  NOT NULL,
	changed_at            timestamptz  NOT NULL,
	pending_until         timestamptz  NOT NULL,
	approval_ttl_seconds  bigint       NOT NULL,
	reveal_ttl_seconds    bigint       NOT NULL,
	approved_at           timestamptz,
	until                 timestamptz,
	job                   text         NOT NULL,
	agent                 text         NOT NULL,
	attempt               bigint       NOT NULL,
	started_at            timestamptz,
	ended_at              timestamptz,
	provider_version      text         NOT NULL,
	failure_code          text         NOT NULL,
	failure_detail        text         NOT NULL,
	closing_comment       text         NOT NULL,
	expired_from          text         NOT NULL,
	ready_envelopes       bigint       NOT NULL,
	due_at                timestamptz,
	CONSTRAINT a_request_has_one_row PRIMARY KEY (id)
);

CREATE INDEX requests_newest_first ON requests (seq);
CREATE INDEX requests_of_a_person ON requests (requester, seq);
CREATE INDEX requests_in_a_state ON requests (state, seq);
CREATE INDEX requests_with_a_deadline ON requests (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE envelopes (
	request       text         NOT NULL,
	id            text         NOT NULL,
	place         bigint       NOT NULL,
	key           text         NOT NULL,
	state         text         NOT NULL,
	fingerprint   text         NOT NULL,
	kms_key       text         NOT NULL,
	expires_at    timestamptz  NOT NULL,
	by_user       text         NOT NULL,
	at            timestamptz  NOT NULL,
	failure_code  text         NOT NULL,
	CONSTRAINT an_envelope_has_one_row PRIMARY KEY (request, id)
);

CREATE TABLE connections (
	name             text         NOT NULL,
	seq              bigint       NOT NULL,
	last_seq         bigint       NOT NULL,
	state            text         NOT NULL,
	provider         text         NOT NULL,
	cluster          text         NOT NULL,
	description      text         NOT NULL,
	disabled_reason  text         NOT NULL,
	created_at       timestamptz  NOT NULL,
	created_by       text         NOT NULL,
	changed_at       timestamptz  NOT NULL,
	CONSTRAINT a_connection_has_one_row PRIMARY KEY (name)
);

CREATE TABLE agents (
	id                      text         NOT NULL,
	seq                     bigint       NOT NULL,
	last_seq                bigint       NOT NULL,
	state                   text         NOT NULL,
	name                    text         NOT NULL,
	cluster                 text         NOT NULL,
	account                 text         NOT NULL,
	user_key                text         NOT NULL,
	box_key                 text         NOT NULL,
	version                 text         NOT NULL,
	token_hash              text         NOT NULL,
	token_expires_at        timestamptz  NOT NULL,
	invited_at              timestamptz  NOT NULL,
	invited_by              text         NOT NULL,
	enrolled_at             timestamptz,
	credentials_expire_at   timestamptz,
	connected_at            timestamptz,
	lost_at                 timestamptz,
	last_seen_at            timestamptz,
	revoked_at              timestamptz,
	revoked_reason          text         NOT NULL,
	CONSTRAINT an_agent_has_one_row PRIMARY KEY (id)
);

CREATE INDEX agents_by_account ON agents (account) WHERE account <> '';
CREATE INDEX agents_by_token ON agents (token_hash);

GRANT SELECT ON requests, envelopes, connections, agents, positions TO sb_app;
GRANT INSERT, UPDATE ON requests, envelopes, connections, agents TO sb_app;
GRANT UPDATE ON positions TO sb_app;
