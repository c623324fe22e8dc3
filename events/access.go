package events

import "time"

// SessionLife is how long a session lasts at most, whatever it is used for. Whose end came longer
// ago nobody needs to remember.
const SessionLife = 8 * time.Hour

// SignedIn says that a person opened a session.
type SignedIn struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
}

// SignInFailed says that somebody could not sign in. User is empty when nobody is
// known by what was typed; what was typed is not kept.
type SignInFailed struct {
	User UserID `json:"user,omitempty"`
	Code string `json:"code"`
}

// SignedOut says that a session ended by its owner's wish.
type SignedOut struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
}

// AccessDenied says that somebody tried what they may not do. Resource is a stream
// or a route, never a value.
type AccessDenied struct {
	Action   string `json:"action"` // a permission or an agent service
	Resource string `json:"resource"`
	Code     string `json:"code"` // the stable code that the caller got
}

// SessionRevoked says that a session ended by somebody's wish who is not in it, by a log-out at
// the identity provider, by another sign-in in its browser, or as its token was copied.
type SessionRevoked struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
	Cause   string    `json:"cause"` // owner, operator, disabled, erased, password, identity_provider, replaced, token_copied
}

// SessionExpired says that a session reached its end by itself.
type SessionExpired struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
	Cause   string    `json:"cause"` // idle or absolute
}

// SteppedUp says that a person proved a second factor in a session.
type SteppedUp struct {
	User    UserID     `json:"user"`
	Session SessionID  `json:"session"`
	Kind    FactorKind `json:"kind"`
	Factor  FactorID   `json:"factor,omitempty"`
}

// StepUpFailed says that a person could not.
type StepUpFailed struct {
	User    UserID     `json:"user"`
	Session SessionID  `json:"session"`
	Kind    FactorKind `json:"kind"`
	Code    string     `json:"code"`
}

// DirectRevealWithheld says that a rule would have let somebody read at once what is
// production, or what nothing binds. It did not count.
type DirectRevealWithheld struct {
	Rule       string       `json:"rule"`
	Connection ConnectionID `json:"connection"`
	Ref        string       `json:"ref"`
}

// AuditExported says that somebody took facts of the log with them. What those were narrowed to may
// be anything that was typed, so only the names of the parameters are kept.
type AuditExported struct {
	Filters []string `json:"filters,omitempty"` // sorted
}

func (SessionRevoked) fact()       {}
func (SessionExpired) fact()       {}
func (SteppedUp) fact()            {}
func (StepUpFailed) fact()         {}
func (DirectRevealWithheld) fact() {}
func (AuditExported) fact()        {}

func (SignedIn) fact()     {}
func (SignInFailed) fact() {}
func (SignedOut) fact()    {}
func (AccessDenied) fact() {}
