-- A session that has a key takes only what is signed by it. One key opens one session.
ALTER TABLE sessions ADD COLUMN public_key text;
ALTER TABLE sessions ADD CONSTRAINT a_session_key_is_ed25519 CHECK (public_key LIKE 'ed25519:%');
ALTER TABLE sessions ADD CONSTRAINT a_key_opens_one_session UNIQUE (public_key);
