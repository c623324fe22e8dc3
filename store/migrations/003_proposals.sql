-- A proposed value rests under its own data key until its job, and is then sealed to the
-- key of the agent that writes it.
ALTER TABLE envelopes ADD COLUMN direction text NOT NULL DEFAULT 'read';
ALTER TABLE envelopes ADD CONSTRAINT a_value_travels_one_way CHECK (direction IN ('read', 'patch'));
ALTER TABLE envelopes ALTER COLUMN direction DROP DEFAULT;
