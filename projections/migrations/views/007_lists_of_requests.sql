-- Lists by what is done, and how long the requests of a workflow wait.
CREATE INDEX requests_of_an_operation ON requests (operation, seq);
CREATE INDEX requests_approved_in_a_workflow ON requests (left(workflow ->> 'name', 200), seq) WHERE approved_at IS NOT NULL AND review = '';
