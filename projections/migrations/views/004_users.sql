-- People and machines with what facts tell of their rights. Names and e-mail are not here.
CREATE TABLE users (
	id           text         NOT NULL,
	seq          bigint       NOT NULL,
	last_seq     bigint       NOT NULL,
	kind         text         NOT NULL,
	state        text         NOT NULL,
	break_glass  boolean      NOT NULL,
	added_at     timestamptz  NOT NULL,
	added_by     text         NOT NULL,
	grants       jsonb        NOT NULL,
	groups       jsonb        NOT NULL,
	tokens       jsonb        NOT NULL,
	delegations  jsonb        NOT NULL,
	factors      jsonb        NOT NULL,
	CONSTRAINT a_user_has_one_row PRIMARY KEY (id)
);

CREATE INDEX users_newest_first ON users (seq);
CREATE INDEX users_by_role ON users USING gin (grants jsonb_path_ops);

GRANT SELECT, INSERT, UPDATE ON users TO sb_app;
