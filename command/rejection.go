package command

// Rejection is a result of the rules, not a fault: a stable code, and a sentence
// that tells the caller what to do. package web turns codes into statuses.
type Rejection struct {
	Code   string
	Detail string
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Detail }

// Is compares codes, so that a rejection with its own detail matches the sentinel.
func (r *Rejection) Is(target error) bool {
	t, ok := target.(*Rejection)
	return ok && t.Code == r.Code
}

// because gives a rejection a detail of its own.
func (r *Rejection) because(detail string) *Rejection {
	return &Rejection{Code: r.Code, Detail: detail}
}
