-- What looks at rollouts are compared with: of each watch of a request, and, before there are
-- watches, of each mapped application. It is no fact; what is lost of it only proves later.
CREATE TABLE watches (
	request     text         NOT NULL,
	number      bigint       NOT NULL,
	rev         bigint       NOT NULL,
	state       jsonb        NOT NULL,
	changed_at  timestamptz  NOT NULL,
	CONSTRAINT a_watch_has_one_row PRIMARY KEY (request, number)
);

CREATE TABLE baselines (
	request     text         NOT NULL,
	mapping     text         NOT NULL,
	baseline    jsonb        NOT NULL,
	changed_at  timestamptz  NOT NULL,
	CONSTRAINT an_application_is_seen_once_before_a_write PRIMARY KEY (request, mapping)
);

CREATE INDEX watches_by_age ON watches (changed_at);
CREATE INDEX baselines_by_age ON baselines (changed_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON watches, baselines TO sb_app;
