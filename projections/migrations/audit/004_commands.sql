-- What one command caused. Most have one commit of one event.
CREATE INDEX events_of_a_command ON events (command, seq);
