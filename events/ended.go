package events

// What ends by itself leaves a fact as well, whether or not somebody would have used it.

// SessionRenewed says that a session got another token, and its old one counts no more.
type SessionRenewed struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
}

// LinkExpired says that nobody used a single-use link before its end.
type LinkExpired struct {
	Purpose LinkPurpose `json:"purpose"`
}

// TokenExpired says that a machine's token reached its end.
type TokenExpired struct {
	Token TokenID `json:"token"`
}

// FactorAbandoned says that an authenticator app or a passkey was begun, and never confirmed.
type FactorAbandoned struct {
	Factor FactorID   `json:"factor"`
	Kind   FactorKind `json:"kind"`
}

// DelegationExpired says that a delegation reached its end.
type DelegationExpired struct {
	Delegation DelegationID `json:"delegation"`
}

// AmendmentExpired says that nobody decided an amendment in its time.
type AmendmentExpired struct {
	Amendment AmendmentID `json:"amendment"`
}

func (SessionRenewed) fact()    {}
func (LinkExpired) fact()       {}
func (TokenExpired) fact()      {}
func (FactorAbandoned) fact()   {}
func (DelegationExpired) fact() {}
func (AmendmentExpired) fact()  {}
