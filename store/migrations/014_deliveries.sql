-- What is to be told to whom, and what became of it. A row names people and requests by their
-- opaque ids only: what is said is worked out from the facts when it is sent.
CREATE TABLE deliveries (
	id            text        NOT NULL,
	number        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
	recipient     text        NOT NULL,
	kind          text        NOT NULL,
	event         text        NOT NULL,
	seq           bigint      NOT NULL,
	request       text        NOT NULL,
	at            timestamptz NOT NULL,
	state         text        NOT NULL,
	due_at        timestamptz NOT NULL,
	held          boolean     NOT NULL,
	message       text        NOT NULL,
	attempts      integer     NOT NULL,
	first_at      timestamptz,
	code          text        NOT NULL,
	ended_at      timestamptz,
	claimed_until timestamptz,
	CONSTRAINT somebody_is_told_of_something_once PRIMARY KEY (id),
	CONSTRAINT a_delivery_that_waits_has_not_ended CHECK ((state = 'waiting') = (ended_at IS NULL))
);

CREATE INDEX deliveries_that_wait_by_time ON deliveries (due_at, number) WHERE state = 'waiting';
CREATE INDEX deliveries_of_somebody ON deliveries (recipient, number);
CREATE INDEX deliveries_by_age ON deliveries (at);

GRANT SELECT, INSERT, UPDATE, DELETE ON deliveries TO sb_app;
