package events

// KMSKeyRotated says that another key of the key manager wraps new data keys. Only a key
// manager that is rotated by this server has it: others keep records of their own.
type KMSKeyRotated struct {
	KMSKey string `json:"kms_key"`
}

// RewrapStarted begins to move the data keys of stored envelopes to another key of the
// key manager. Several may run one after the other; each finds what is left.
type RewrapStarted struct {
	KMSKey string `json:"kms_key"` // that everything moves to
	Total  int    `json:"total"`   // how many envelopes are to be moved
}

// RewrapFinished ends it. Envelopes that failed stay under their old key.
type RewrapFinished struct {
	KMSKey  string        `json:"kms_key"`
	Outcome RewrapOutcome `json:"outcome"`
	Moved   int           `json:"moved"`
	Skipped int           `json:"skipped"` // used or destroyed meanwhile
	Failed  int           `json:"failed"`  // they do not open under their old key
}

// RewrapOutcome tells how far a rewrap came.
type RewrapOutcome string

// The outcomes. A stopped rewrap is continued by running it again.
const (
	RewrapComplete RewrapOutcome = "complete"
	RewrapStopped  RewrapOutcome = "stopped"
)

// RowsAdopted says that from here on a row of a person, or of what lets them in, needs a MAC of the
// control plane. Those that were there before got theirs, as many as it says; sessions ended. It is
// told once, at the first start of the version that began with it.
type RowsAdopted struct {
	People     int `json:"people"` // and machines
	Links      int `json:"links"`
	Tokens     int `json:"tokens"`
	Identities int `json:"identities"`
	Factors    int `json:"factors"`
	Codes      int `json:"codes"`
	Left       int `json:"left"` // that the log knows nothing of; they open nothing
}

// RowsStream is the stream of what is done to rows of people.
func RowsStream() Stream { return Stream{AggregateSetting, "rows"} }

// SettingKMS is the stream of what is done to the key manager's keys.
func SettingKMS() Stream { return Stream{AggregateSetting, "kms"} }

func (KMSKeyRotated) fact()  {}
func (RewrapStarted) fact()  {}
func (RewrapFinished) fact() {}
func (RowsAdopted) fact()    {}
