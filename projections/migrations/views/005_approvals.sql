-- Where the secret lies, why it is asked for, who fills its values in, how long its step has
-- been open, and what went without approval. Requests of before there were workflows have none
-- of it. review is empty where there is nothing to review.
ALTER TABLE requests
	ADD COLUMN project           text         NOT NULL DEFAULT '',
	ADD COLUMN environment       text         NOT NULL DEFAULT '',
	ADD COLUMN environment_kind  text         NOT NULL DEFAULT '',
	ADD COLUMN team              text         NOT NULL DEFAULT '',
	ADD COLUMN owner             text         NOT NULL DEFAULT '',
	ADD COLUMN ticket            text         NOT NULL DEFAULT '',
	ADD COLUMN fill_team         text         NOT NULL DEFAULT '',
	ADD COLUMN fill              json         NOT NULL DEFAULT 'null',
	ADD COLUMN glass             json         NOT NULL DEFAULT 'null',
	ADD COLUMN review            text         NOT NULL DEFAULT '',
	ADD COLUMN review_until      timestamptz,
	ADD COLUMN step              text         NOT NULL DEFAULT '',
	ADD COLUMN step_opened_at    timestamptz,
	ADD COLUMN reminders         bigint       NOT NULL DEFAULT 0,
	ADD COLUMN reminded_at       timestamptz,
	ADD COLUMN escalated         json         NOT NULL DEFAULT '[]',
	ADD COLUMN next_prompt_at    timestamptz;

ALTER TABLE requests
	ALTER COLUMN project DROP DEFAULT,
	ALTER COLUMN environment DROP DEFAULT,
	ALTER COLUMN environment_kind DROP DEFAULT,
	ALTER COLUMN team DROP DEFAULT,
	ALTER COLUMN owner DROP DEFAULT,
	ALTER COLUMN ticket DROP DEFAULT,
	ALTER COLUMN fill_team DROP DEFAULT,
	ALTER COLUMN fill DROP DEFAULT,
	ALTER COLUMN glass DROP DEFAULT,
	ALTER COLUMN review DROP DEFAULT,
	ALTER COLUMN step DROP DEFAULT,
	ALTER COLUMN reminders DROP DEFAULT,
	ALTER COLUMN escalated DROP DEFAULT;

CREATE INDEX requests_of_a_project ON requests (left(project, 200), seq) WHERE project <> '';
CREATE INDEX requests_that_wait_for_a_team ON requests (left(fill_team, 200), seq) WHERE state = 'awaiting_values';
CREATE INDEX requests_to_be_reviewed ON requests (review_until) WHERE review IN ('pending', 'overdue');
CREATE INDEX requests_to_be_prompted ON requests (next_prompt_at) WHERE next_prompt_at IS NOT NULL;
