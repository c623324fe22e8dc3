package api

import "time"

// QueueJob asks for a job over a whole connection.
type QueueJob struct {
	Type       string `json:"type"` // discover, fingerprint
	Connection string `json:"connection"`
}

// Job is a job that no request stands behind.
type Job struct {
	ID           string     `json:"id"`
	Type         string     `json:"type"`  // discover, fingerprint, keys
	State        string     `json:"state"` // queued, running, finished, failed, cancelled
	Connection   string     `json:"connection"`
	Provider     string     `json:"provider"`
	Cluster      string     `json:"cluster"`
	Secret       string     `json:"secret,omitempty"` // of type keys: the inventory id
	Ref          string     `json:"ref,omitempty"`    // likewise
	Scheduled    bool       `json:"scheduled"`
	QueuedBy     string     `json:"queued_by"`                // an actor, such as user:u_…
	QueuedByName string     `json:"queued_by_name,omitempty"` // of a person or a machine that is not erased
	QueuedAt     time.Time  `json:"queued_at"`
	Until        time.Time  `json:"until"` // its end, however far it is
	Agent        string     `json:"agent,omitempty"`
	Attempt      int        `json:"attempt,omitempty"`
	TakenAt      *time.Time `json:"taken_at,omitempty"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	Progress     *Progress  `json:"progress,omitempty"` // of a job over a connection that was taken
	Keys         int        `json:"keys,omitempty"`     // of type keys: how many there are
	Version      string     `json:"version,omitempty"`  // likewise, of the secret
	Failure      *Failure   `json:"failure,omitempty"`
	Reason       string     `json:"reason,omitempty"`  // of who cancelled it
	Waiting      string     `json:"waiting,omitempty"` // why nothing happens now, in a sentence
	Seq          uint64     `json:"seq"`
}

// Progress is what a job over a connection met so far, or in all.
type Progress struct {
	Pages     int       `json:"pages"`
	Secrets   int       `json:"secrets"`    // different ones
	Found     int       `json:"found"`      // new, or there again
	Changed   int       `json:"changed"`    // with other labels, another version or other times
	Gone      int       `json:"gone"`       // no longer there; known at the end
	Skipped   int       `json:"skipped"`    // with a name that no ref can spell
	Unlisted  int       `json:"unlisted"`   // folders that the provider did not open: then nothing is gone
	Refused   int       `json:"refused"`    // values that are too easy to guess for a fingerprint
	PerSecond float64   `json:"per_second"` // to one decimal place
	At        time.Time `json:"at"`         // of the newest page, or of the end
}

// KeyNames are the names of a secret's keys, for whoever asked.
type KeyNames struct {
	Keys    []string `json:"keys"` // in ascending order
	Version string   `json:"version,omitempty"`
}

// Schedule says how often a connection is scanned.
type Schedule struct {
	EverySeconds int `json:"every_seconds"` // after the last scan was over; 900 to 2592000, or 0 for never
}

// Secret is one secret of the inventory. There is nothing of its values.
type Secret struct {
	ID              string            `json:"id"`     // "i_…", the same for ever
	Secret          string            `json:"secret"` // CONNECTION/REF
	Connection      string            `json:"connection"`
	Cluster         string            `json:"cluster"`
	Provider        string            `json:"provider"`
	Ref             string            `json:"ref"`
	Labels          map[string]string `json:"labels"`
	Version         string            `json:"version,omitempty"`
	CreatedAt       *time.Time        `json:"created_at,omitempty"` // the provider's
	UpdatedAt       *time.Time        `json:"updated_at,omitempty"` // the provider's
	RotatedAt       *time.Time        `json:"rotated_at,omitempty"` // updated_at, else created_at
	AgeDays         *int              `json:"age_days,omitempty"`   // whole days since rotated_at
	FirstSeenAt     time.Time         `json:"first_seen_at"`
	LastSeenAt      time.Time         `json:"last_seen_at"`
	Status          string            `json:"status"` // present, gone
	GoneAt          *time.Time        `json:"gone_at,omitempty"`
	Owner           string            `json:"owner,omitempty"`
	OwnerFrom       string            `json:"owner_from,omitempty"` // hand, rule
	Environment     string            `json:"environment,omitempty"`
	EnvironmentFrom string            `json:"environment_from,omitempty"`
	Seq             uint64            `json:"seq"`
	AsOf            uint64            `json:"as_of,omitempty"` // the last commit that counts, of one that is shown as it was
}

// Count is how many secrets a filter takes.
type Count struct {
	Count int  `json:"count"`
	Exact bool `json:"exact"` // else there are more
}

// Facet is a label, or a value of one, and how many secrets have it.
type Facet struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Assign says by hand whose a secret is. An empty field is left to the rules.
type Assign struct {
	Owner       string `json:"owner"`
	Environment string `json:"environment"`
}

// Ownership has the rules that say whose secrets are. The first that matches and says
// something counts, for owner and environment each by itself.
type Ownership struct {
	Version int             `json:"version"` // 0: nobody made any; to set rules, the version that was read
	Rules   []OwnershipRule `json:"rules"`
	Seq     uint64          `json:"seq,omitempty"`
}

// OwnershipRule says whose the secrets are that match all that it names.
type OwnershipRule struct {
	Connection       string            `json:"connection,omitempty"`
	Prefix           string            `json:"prefix,omitempty"` // of the ref
	Labels           map[string]string `json:"labels,omitempty"`
	Owner            string            `json:"owner,omitempty"`
	OwnerLabel       string            `json:"owner_label,omitempty"`
	Environment      string            `json:"environment,omitempty"`
	EnvironmentLabel string            `json:"environment_label,omitempty"`
}

// OutOfBand is a change that no approved request stands behind.
type OutOfBand struct {
	Secret
	Kind        string    `json:"kind"` // changed, created, returned
	FromVersion string    `json:"from_version,omitempty"`
	ToVersion   string    `json:"to_version"`
	SeenAt      time.Time `json:"seen_at"`
	Scan        string    `json:"scan,omitempty"` // the job that saw it
}

// Duplicate is a value that several secrets shared when they were last read for it. Those
// that are gone are left out.
type Duplicate struct {
	Group   string       `json:"group"`   // names the value in this report, and says nothing of it
	Total   int          `json:"total"`   // beyond 100 also those that are gone
	Secrets []SecretName `json:"secrets"` // at most 100
}

// Coverage is what a connection has of fingerprints. Only those of one key compare.
type Coverage struct {
	Connection      string    `json:"connection"`
	KeyID           string    `json:"key_id"`
	Secrets         int       `json:"secrets"`          // that have one
	FingerprintedAt time.Time `json:"fingerprinted_at"` // the newest of them
}

// SecretName is where a secret is, and of when its fingerprint is.
type SecretName struct {
	ID              string    `json:"id"`
	Secret          string    `json:"secret"`            // CONNECTION/REF
	Version         string    `json:"version,omitempty"` // that the fingerprint is of
	FingerprintedAt time.Time `json:"fingerprinted_at"`
	Changed         bool      `json:"changed,omitempty"` // a scan met another version since
}
