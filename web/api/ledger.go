package api

import "time"

// LogKeys is who signs checkpoints of the log.
type LogKeys struct {
	Origin    string       `json:"origin"`
	Keys      []LogKey     `json:"keys"`      // the current one first
	Witnesses []LogWitness `json:"witnesses"` // by kind and name
	Policy    string       `json:"policy"`    // c2sp.org/tlog-policy
}

// LogKey is a key of the log: "NAME+HASH+KEY" (c2sp.org/signed-note).
type LogKey struct {
	Key   string     `json:"key"`
	Until *time.Time `json:"until,omitempty"` // of one that was rotated: it signs as well until then
}

// LogWitness is who cosigns checkpoints.
type LogWitness struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // witness: outside of this installation; or agent
	Key  string `json:"key"`  // for cosignatures (c2sp.org/tlog-cosignature)
}

// Kinds of witnesses.
const (
	KindWitness = "witness"
	KindAgent   = "agent"
)

// Inclusion proves that a commit is in a tree (RFC 6962, section 2.1.1). Hashes are in base64.
type Inclusion struct {
	Seq      uint64   `json:"seq"`
	Leaf     int64    `json:"leaf"` // seq less one
	Size     int64    `json:"size"`
	LeafHash string   `json:"leaf_hash"`
	Hashes   []string `json:"hashes"`
}

// Consistency proves that a tree begins with a smaller one (RFC 6962, section 2.1.2).
type Consistency struct {
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	Hashes []string `json:"hashes"`
}
