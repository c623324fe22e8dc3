package events

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

func (SignedIn) fact()     {}
func (SignInFailed) fact() {}
func (SignedOut) fact()    {}
func (AccessDenied) fact() {}
