-- Each row that opens something has a MAC over all of it that decides, under a key that the database
-- does not hold. A row without one opens nothing. Rows from before get theirs once, at the first
-- start of this version; that they did is a fact.
ALTER TABLE people ADD COLUMN mac bytea;
ALTER TABLE people ADD COLUMN password_by text; -- the command whose fact told of the password; empty: none did
ALTER TABLE sessions ADD COLUMN mac bytea;
ALTER TABLE former_tokens ADD COLUMN mac bytea;
ALTER TABLE challenges ADD COLUMN mac bytea;
ALTER TABLE links ADD COLUMN mac bytea;
ALTER TABLE tokens ADD COLUMN mac bytea;
ALTER TABLE identities ADD COLUMN mac bytea;
ALTER TABLE logins ADD COLUMN mac bytea;
ALTER TABLE sign_in_codes ADD COLUMN mac bytea;
ALTER TABLE factors ADD COLUMN mac bytea;
ALTER TABLE recovery_codes ADD COLUMN mac bytea;
