-- Whether a written patch is live where its secret is used, and how many of its watches are open.
ALTER TABLE requests
	ADD COLUMN rollout       json    NOT NULL DEFAULT 'null',
	ADD COLUMN open_watches  bigint  NOT NULL DEFAULT 0;

ALTER TABLE requests
	ALTER COLUMN rollout DROP DEFAULT,
	ALTER COLUMN open_watches DROP DEFAULT;

CREATE INDEX requests_that_are_watched ON requests (seq) WHERE open_watches > 0;
