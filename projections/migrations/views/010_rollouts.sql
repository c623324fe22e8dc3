-- Whether a written patch is live where its secret is used, and how many of its watches are open.
ALTER TABLE requests
	ADD COLUMN rollout       json    NOT NULL DEFAULT 'null',
	ADD COLUMN open_watches  bigint  NOT NULL DEFAULT 0;

ALTER TABLE requests
	ALTER COLUMN rollout DROP DEFAULT,
	ALTER COLUMN open_watches DROP DEFAULT;

CREATE INDEX requests_that_are_watched ON requests (seq) WHERE open_watches > 0;

-- What ends at one moment is read page by page, in the order of first commits.
DROP INDEX requests_with_a_deadline;

CREATE INDEX requests_with_a_deadline ON requests (due_at, seq) WHERE due_at IS NOT NULL;

DROP INDEX requests_to_be_prompted;

CREATE INDEX requests_to_be_prompted ON requests (next_prompt_at, seq) WHERE next_prompt_at IS NOT NULL;
