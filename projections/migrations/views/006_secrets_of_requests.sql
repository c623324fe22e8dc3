-- The audit of one secret is that of the requests for it and of the jobs that told its keys.
CREATE INDEX requests_of_a_secret ON requests (connection, md5(ref));
CREATE INDEX jobs_of_a_secret ON jobs (secret) WHERE secret <> '';
