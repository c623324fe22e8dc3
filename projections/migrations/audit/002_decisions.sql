-- What somebody has a word in, beside what they ask for.
CREATE INDEX decisions_of_a_person ON events (actor, seq) WHERE type IN (
	'sb.request.approval_given.v1', 'sb.request.rejected.v1', 'sb.request.values_provided.v1',
	'sb.request.values_refused.v1', 'sb.request.glass_reviewed.v1');
