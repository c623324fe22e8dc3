-- How far each follower of facts came, and who moves it: the fencing token of the holder
-- that began last. Whoever has an older one moves nothing.
CREATE TABLE loops (
	name   text    NOT NULL,
	seq    bigint  NOT NULL,
	fence  bigint  NOT NULL,
	CONSTRAINT a_loop_has_one_position PRIMARY KEY (name),
	CONSTRAINT a_position_is_in_the_log CHECK (seq >= 0)
);

GRANT SELECT, INSERT, UPDATE ON loops TO sb_app;
