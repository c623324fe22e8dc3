package api

import "time"

// InvitePerson lets a person in.
type InvitePerson struct {
	Email      string `json:"email"`
	Name       string `json:"name"`
	BreakGlass bool   `json:"break_glass,omitempty"` // an account for emergencies
}

// Link is what a person sets their password by. It is shown once and works once.
type Link struct {
	Person  string    `json:"person"` // the id
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
	Seq     uint64    `json:"seq"`
}

// Redeem uses the token of a link to set a password: in clear, or sealed to an intake key like
// a sign-in. A sealed one is signed by the key in it.
type Redeem struct {
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
	Sealed   []byte `json:"sealed,omitempty"` // base64 of a SealedRedeem in JSON
}

// SealedRedeem is what is sealed to redeem a link.
type SealedRedeem struct {
	Token    string `json:"token"`
	Password string `json:"password"`
	Key      string `json:"key"` // public Ed25519 key that signed the call, "ed25519:…"
}

// ChangePassword sets one's password by the old one: in clear, or sealed to an intake key.
type ChangePassword struct {
	Old      string `json:"old,omitempty"`
	Password string `json:"password,omitempty"`
	Sealed   []byte `json:"sealed,omitempty"` // base64 of a SealedPassword in JSON
}

// SealedPassword is what is sealed to change a password.
type SealedPassword struct {
	Old      string `json:"old"`
	Password string `json:"password"`
}

// Account is a person as operators see them.
type Account struct {
	ID         string        `json:"id"`
	Email      string        `json:"email"`
	Name       string        `json:"name"`
	State      string        `json:"state"` // active, disabled
	BreakGlass bool          `json:"break_glass"`
	Password   bool          `json:"password"` // there is one: an invitation was used
	Grants     []PersonGrant `json:"grants"`
	Groups     []string      `json:"groups"`
	Factors    []string      `json:"factors"` // kinds: passkey, totp
	CreatedAt  time.Time     `json:"created_at"`
	SignedInAt *time.Time    `json:"signed_in_at,omitempty"` // the last time
}

// PersonGrant is a role in a scope that somebody has.
type PersonGrant struct {
	ID     string     `json:"id,omitempty"` // to take it; none: a group gives it
	Role   string     `json:"role"`
	Scope  Scope      `json:"scope"`           // empty: everywhere
	Until  *time.Time `json:"until,omitempty"` // exclusive
	Group  string     `json:"group,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// GiveGrant gives a role.
type GiveGrant struct {
	Role   string     `json:"role"`
	Scope  Scope      `json:"scope,omitzero"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// Made is the answer to a command that makes something.
type Made struct {
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
}

// OpenSession is one session of a person.
type OpenSession struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current"` // the one that asks
	CreatedAt time.Time `json:"created_at"`
	Browser   bool      `json:"browser"` // of a browser, in a cookie
	UsedAt    time.Time `json:"used_at"` // to the minute; of a browser, renewed
	Expires   time.Time `json:"expires"` // at the latest
}

// Ended says how many sessions ended.
type Ended struct {
	Sessions int    `json:"sessions"`
	Seq      uint64 `json:"seq"`
}

// CreateMachine lets a machine in.
type CreateMachine struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Machine is a machine with its tokens.
type Machine struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	State       string         `json:"state"` // active, disabled
	Grants      []PersonGrant  `json:"grants"`
	Tokens      []MachineToken `json:"tokens"`
	CreatedAt   time.Time      `json:"created_at"`
}

// MachineToken is a token, without its text.
type MachineToken struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Permissions []string   `json:"permissions"`
	Scope       Scope      `json:"scope"`
	Until       time.Time  `json:"until"`             // exclusive
	UsedAt      *time.Time `json:"used_at,omitempty"` // to the minute
}

// IssueToken makes a token for a machine: at most those permissions in that scope, of those
// that its grants give.
type IssueToken struct {
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"`
	Scope       Scope     `json:"scope,omitzero"`
	Until       time.Time `json:"until"` // at most 366 days ahead
}

// IssuedToken is the answer. The token goes into "Authorization: Bearer …", and is shown once.
type IssuedToken struct {
	ID    string    `json:"id"`
	Token string    `json:"token"`
	Until time.Time `json:"until"`
	Seq   uint64    `json:"seq"`
}

// Delegate lets another person vote for one.
type Delegate struct {
	To     string     `json:"to"` // the id of a person
	Since  *time.Time `json:"since,omitempty"`
	Until  time.Time  `json:"until"` // at most 92 days ahead
	Absent bool       `json:"absent,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// Delegation is one that has not ended.
type Delegation struct {
	ID     string    `json:"id"`
	To     Person    `json:"to"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"` // exclusive
	Absent bool      `json:"absent"`
	Reason string    `json:"reason,omitempty"`
}
