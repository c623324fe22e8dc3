package events

import "time"

// UserKind is how somebody comes in.
type UserKind string

const (
	UserPerson  UserKind = "person"  // by password, or by the identity provider
	UserMachine UserKind = "machine" // by tokens only
)

// UserAdded says that somebody may sign in from now on. Names and e-mail lie elsewhere, where
// they can be erased.
type UserAdded struct {
	User       UserID   `json:"user"`
	Kind       UserKind `json:"kind"`
	BreakGlass bool     `json:"break_glass,omitempty"` // an account for emergencies: guessing does not lock it
}

// UserDisabled keeps somebody out until they are enabled.
type UserDisabled struct {
	Reason string `json:"reason,omitempty"`
}

// UserEnabled lets somebody in again.
type UserEnabled struct{}

// UserErased says that names, e-mail and all ways in are destroyed. The opaque id stays in
// facts.
type UserErased struct{}

// GrantGiven says that somebody has a role in a scope, until Until, exclusive, if it is set.
type GrantGiven struct {
	Grant  GrantID   `json:"grant"`
	Role   string    `json:"role"`
	Scope  Scope     `json:"scope,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// GrantTaken ends a grant.
type GrantTaken struct {
	Grant  GrantID `json:"grant"`
	Reason string  `json:"reason,omitempty"`
}

// GroupsTold says which groups the identity provider puts somebody into, in place of what it
// said before. Groups by hand are another matter.
type GroupsTold struct {
	Groups []string `json:"groups"` // names of groups of the governance
}

// IdentityLinked says that somebody comes in by an identity provider. Their name there lies
// elsewhere.
type IdentityLinked struct {
	Issuer string `json:"issuer"`
}

// LinkIssued says that somebody got a single-use link.
type LinkIssued struct {
	Purpose LinkPurpose `json:"purpose"`
	Until   time.Time   `json:"until"`
}

// LinkPurpose is what a link is for.
type LinkPurpose string

const (
	LinkInvitation LinkPurpose = "invitation"
	LinkReset      LinkPurpose = "password_reset"
)

// PasswordSet says that somebody has another password, by a link or by the old one.
type PasswordSet struct {
	By string `json:"by"` // invitation, password_reset, password, operator
}

// FactorKind is a second factor.
type FactorKind string

const (
	FactorPasskey  FactorKind = "passkey"
	FactorTOTP     FactorKind = "totp"
	FactorRecovery FactorKind = "recovery_code" // used, never enrolled
	FactorPassword FactorKind = "password"      // before there is another one
)

// FactorEnrolled says that somebody has one more factor.
type FactorEnrolled struct {
	Factor FactorID   `json:"factor"`
	Kind   FactorKind `json:"kind"`
}

// FactorRemoved says that a factor counts no more.
type FactorRemoved struct {
	Factor FactorID   `json:"factor"`
	Kind   FactorKind `json:"kind"`
	Cause  string     `json:"cause"` // owner, operator, cloned
}

// RecoveryCodesMade says that somebody has fresh recovery codes; older ones open nothing.
type RecoveryCodesMade struct {
	Count int `json:"count"`
}

// TokenIssued says that a machine has one more token, with at most those permissions in that
// scope, until Until, exclusive.
type TokenIssued struct {
	Token       TokenID   `json:"token"`
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"` // of those that its grants give; at least one
	Scope       Scope     `json:"scope,omitzero"`
	Until       time.Time `json:"until"`
}

// TokenRevoked ends a token.
type TokenRevoked struct {
	Token  TokenID `json:"token"`
	Reason string  `json:"reason,omitempty"`
}

// DelegationGiven says that To may vote for this person from Since to Until, exclusive. Who is
// absent does not vote meanwhile.
type DelegationGiven struct {
	Delegation DelegationID `json:"delegation"`
	To         UserID       `json:"to"`
	Since      time.Time    `json:"since"`
	Until      time.Time    `json:"until"`
	Absent     bool         `json:"absent,omitempty"`
	Reason     string       `json:"reason,omitempty"`
}

// DelegationEnded ends a delegation before its time.
type DelegationEnded struct {
	Delegation DelegationID `json:"delegation"`
}

// UserStream is the history of one person's or machine's rights.
func UserStream(id UserID) Stream { return Stream{AggregateUser, string(id)} }

func (UserAdded) fact()         {}
func (UserDisabled) fact()      {}
func (UserEnabled) fact()       {}
func (UserErased) fact()        {}
func (GrantGiven) fact()        {}
func (GrantTaken) fact()        {}
func (GroupsTold) fact()        {}
func (IdentityLinked) fact()    {}
func (LinkIssued) fact()        {}
func (PasswordSet) fact()       {}
func (FactorEnrolled) fact()    {}
func (FactorRemoved) fact()     {}
func (RecoveryCodesMade) fact() {}
func (TokenIssued) fact()       {}
func (TokenRevoked) fact()      {}
func (DelegationGiven) fact()   {}
func (DelegationEnded) fact()   {}
