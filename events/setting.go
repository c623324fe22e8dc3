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

// SettingKMS is the stream of what is done to the key manager's keys.
func SettingKMS() Stream { return Stream{AggregateSetting, "kms"} }

func (KMSKeyRotated) fact()  {}
func (RewrapStarted) fact()  {}
func (RewrapFinished) fact() {}
