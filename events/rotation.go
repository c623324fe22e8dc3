package events

// RotateKey names the agent's next HPKE key. The private half is on its disk before it
// asks; saying it again changes nothing.
type RotateKey struct {
	BoxKey string `json:"box_key"` // public HPKE key, as package seal prints it
}

// RetireKeys asks which earlier keys may be deleted.
type RetireKeys struct {
	Keys []string `json:"keys"` // ids of the keys that the agent holds
}

// NeededKeys are those that must stay: something may yet come that only they open.
type NeededKeys struct {
	Keys []string `json:"keys"`
}
