-- What a request changes, and how its secret stood; null for a read.
ALTER TABLE requests ADD COLUMN patch json NOT NULL DEFAULT 'null';
ALTER TABLE requests ALTER COLUMN patch DROP DEFAULT;
