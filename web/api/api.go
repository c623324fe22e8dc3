// Package api has the shapes of the HTTP API, as openapi.yaml describes them, for the
// server and for Go programs that call it. Times are RFC 3339 in UTC. Unknown fields in
// a request are refused; in a reply, new ones may appear.
package api

import "time"

// Headers of the product's own.
const (
	// HeaderSequence, in a reply to a command, is the log's position of its outcome.
	HeaderSequence = "Sb-Sequence"

	// HeaderNotOlderThan, in a query, is a position that the answer must include.
	HeaderNotOlderThan = "Sb-Not-Older-Than"

	// HeaderIdempotencyKey is needed on every POST but sign-in and enrolment
	// (draft-ietf-httpapi-idempotency-key-header-07).
	HeaderIdempotencyKey = "Idempotency-Key"

	// HeaderReplayed, in a reply, says that it is the reply of an earlier call.
	HeaderReplayed = "Idempotency-Replayed"

	// HeaderRequestedWith is needed, with any value, on calls that change something and come
	// with a session's cookie: a page of another site cannot send it.
	HeaderRequestedWith = "Sb-Requested-With"

	// HeaderPerson, beside a session's cookie, is the id of whom a page shows as signed in. The
	// cookie is all tabs', and may be somebody else's by now: then the call is refused. It gives
	// nobody anything.
	HeaderPerson = "Sb-Person"
)

// Problem is what every error is (RFC 9457, application/problem+json). Code is stable.
type Problem struct {
	Type     string `json:"type"`   // "about:blank#<code>"
	Title    string `json:"title"`  // the status, in words
	Status   int    `json:"status"` // of HTTP
	Detail   string `json:"detail"` // a sentence to act on
	Code     string `json:"code"`
	Instance string `json:"instance,omitempty"` // id of this answer in the server's log
}

// SignIn asks for a session: with e-mail and password in clear for one that its token is
// enough for, or sealed for one that has a key. A sealed one is signed by that key.
type SignIn struct {
	Email    string `json:"email,omitempty"`
	Password string `json:"password,omitempty"`
	Sealed   []byte `json:"sealed,omitempty"` // base64 of a SealedSignIn in JSON, sealed to an intake key
	Cookie   bool   `json:"cookie,omitempty"` // for a browser: in clear, with the token in a cookie and not in the answer
}

// SealedSignIn is what is sealed to sign in: a proposal of package seal in the direction
// sign-in.
type SealedSignIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Key      string `json:"key"` // public Ed25519 key of the session, "ed25519:…"
}

// Session is the answer. The token goes into "Authorization: Bearer …" and nowhere else.
type Session struct {
	Token   string    `json:"token,omitempty"` // none: it is in a cookie
	Expires time.Time `json:"expires"`         // at the latest; sooner without use
	Person  Me        `json:"person"`
}

// Renewed says how long a browser's session lasts now.
type Renewed struct {
	Expires     time.Time `json:"expires"` // at the latest
	IdleSeconds int       `json:"idle_seconds"`
	Now         time.Time `json:"now"` // of the server
}

// Me is the person who is signed in.
type Me struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Roles       []string `json:"roles"`       // in any scope
	Permissions []string `json:"permissions"` // in any scope
	Grants      []Grant  `json:"grants"`      // the roles with their scopes
	Groups      []string `json:"groups"`
	Teams       []string `json:"teams"`
}

// Grant is a role in a scope.
type Grant struct {
	Role  string     `json:"role"`
	Scope Scope      `json:"scope"`           // empty: everywhere
	Until *time.Time `json:"until,omitempty"` // exclusive
	Group string     `json:"group,omitempty"` // that gives it; empty: it is one's own
}

// Scope is a part of the world. Every field that is set narrows it.
type Scope struct {
	Team        string `json:"team,omitempty"`
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
	Kind        string `json:"environment_kind,omitempty"`
	Connection  string `json:"connection,omitempty"`
	Prefix      string `json:"prefix,omitempty"`
}

// Person is somebody else. Name is empty for one who was erased.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Submit asks to read or to change a secret.
type Submit struct {
	Secret    string           `json:"secret"`              // CONNECTION/REF, or the id of a secret of the inventory
	Operation string           `json:"operation,omitempty"` // read unless it says patch
	Keys      []string         `json:"keys,omitempty"`      // of a read; none means all keys of the secret
	Changes   []ProposedChange `json:"changes,omitempty"`   // of a patch
	Create    bool             `json:"create,omitempty"`    // of a patch: the secret must not exist yet
	Reason    string           `json:"reason"`

	Ticket     string      `json:"ticket,omitempty"`
	Fill       *AskFill    `json:"fill,omitempty"`        // of a patch: another team brings the values
	BreakGlass *BreakGlass `json:"break_glass,omitempty"` // to do without approval
}

// ProposedChange sets or removes one key. The value of a set is sealed to an intake key:
// a proposal of package seal, bound to the Idempotency-Key of the call, the connection,
// the ref, the key and the caller's id.
type ProposedChange struct {
	Key    string `json:"key"`
	Action string `json:"action"`           // set, unset
	Sealed []byte `json:"sealed,omitempty"` // base64
}

// Intake has the keys to seal values to, signed by the control plane.
type Intake struct {
	IntakeKeys []byte `json:"intake_keys"` // base64 of JSON: keys, in order of preference, and not_after
	SigningKey string `json:"signing_key"` // pinned by clients
	Signature  []byte `json:"signature"`   // Ed25519, see docs/security/envelopes.md
}

// Submitted is the answer.
type Submitted struct {
	ID  string `json:"id"`
	Seq uint64 `json:"seq"`
}

// Verdict is an approver's or a requester's word on a request.
type Verdict struct {
	Comment string `json:"comment,omitempty"`

	// Comparison, of an approval, is the number of the comparison that the approver
	// looked at. If there is a newer one, the approval is refused.
	Comparison int `json:"comparison,omitempty"`
}

// Done is the answer to a command that makes nothing new.
type Done struct {
	Seq uint64 `json:"seq"`
}

// Page is a part of a list. Next, if not empty, is the cursor of what follows.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Changed is a message of the live stream: what to read again.
type Changed struct {
	Topics []string `json:"topics"` // requests, jobs, secrets, integrations, connections, agents, governance, people, machines, audit
}

// Request is one request for access.
type Request struct {
	ID         string   `json:"id"`
	State      string   `json:"state"` // awaiting_values, pending, approved, running, unknown, executed, failed, rejected, refused, cancelled, expired
	Operation  string   `json:"operation"`
	Secret     string   `json:"secret"` // CONNECTION/REF
	Connection string   `json:"connection"`
	Cluster    string   `json:"cluster"`
	Ref        string   `json:"ref"`
	Keys       []string `json:"keys"` // empty means all keys of the secret
	Reason     string   `json:"reason"`
	Requester  Person   `json:"requester"`
	Steps      []Step   `json:"steps"`
	Votes      []Vote   `json:"votes"`

	SubmittedAt  time.Time  `json:"submitted_at"`
	PendingUntil time.Time  `json:"pending_until"`
	ApprovedAt   *time.Time `json:"approved_at,omitempty"`
	Until        *time.Time `json:"until,omitempty"` // end of the approval
	EndedAt      *time.Time `json:"ended_at,omitempty"`

	Waiting   string     `json:"waiting,omitempty"` // why nothing happens now, in a sentence
	Attempt   int        `json:"attempt,omitempty"` // of an agent at the job
	Agent     string     `json:"agent,omitempty"`
	Failure   *Failure   `json:"failure,omitempty"`
	Envelopes []Envelope `json:"envelopes"`
	Patch     *Patch     `json:"patch,omitempty"`   // of operation patch
	Rollout   *Rollout   `json:"rollout,omitempty"` // of a patch that applications are watched for

	Place    Place     `json:"place"`              // as of the submit
	Ticket   string    `json:"ticket,omitempty"`   // what the requester named
	Rule     string    `json:"rule,omitempty"`     // the rule that decided how it is approved
	Workflow string    `json:"workflow,omitempty"` // whose steps these are
	Direct   bool      `json:"direct,omitempty"`   // the rule let the requester read at once
	Veto     *Deciders `json:"veto,omitempty"`     // who may reject at any step
	Fill     *Fill     `json:"fill,omitempty"`     // of a patch whose values another team brings
	Glass    *Glass    `json:"glass,omitempty"`    // of what went without approval

	Actions Actions `json:"actions"` // what the caller could do with it now

	ProviderVersion string `json:"provider_version,omitempty"`
	Comment         string `json:"comment,omitempty"` // of who cancelled or refused it
	Seq             uint64 `json:"seq"`               // of its newest fact
	AsOf            uint64 `json:"as_of,omitempty"`   // the last commit that counts, of one that is shown as it was
}

// Actions are what somebody could do with a request, each under the name of its command.
type Actions struct {
	Approve Action `json:"approve"`
	Reject  Action `json:"reject"`
	Cancel  Action `json:"cancel"`
	Provide Action `json:"provide"` // bring the values that it asks another team for
	Refuse  Action `json:"refuse"`  // say that there will be none
	Review  Action `json:"review"`
	Reveal  Action `json:"reveal"` // at least one of its envelopes
}

// Action says whether the command would be done, as all stands now. If not, code and reason are
// those of the problem that it would answer.
type Action struct {
	Allowed bool   `json:"allowed"`
	StepUp  bool   `json:"step_up,omitempty"` // prove a second factor first
	Code    string `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// Patch is what a request changes: keys and effects, never a value or its length.
type Patch struct {
	Create    bool     `json:"create"`
	Reapprove string   `json:"reapprove"` // never, touched_keys, any_change
	Changes   []Change `json:"changes"`

	// EffectsWithheld says that Changes have no effects because the caller asked for the
	// patch and it is not approved.
	EffectsWithheld bool `json:"effects_withheld,omitempty"`

	Comparison   *Comparison `json:"comparison,omitempty"`    // the newest look at the secret
	FirstVersion string      `json:"first_version,omitempty"` // of the secret when it was first looked at
	Changed      bool        `json:"changed"`                 // the secret has another version since
	Voided       int         `json:"voided"`                  // how often approvals ended because it changed

	Outcome         string `json:"outcome,omitempty"` // written, found, unchanged
	PreviousVersion string `json:"previous_version,omitempty"`
}

// Change is what happens to one key. Effect is what it would do to the secret as it was
// at the newest comparison: added, changed, removed, unchanged.
type Change struct {
	Key    string `json:"key"`
	Action string `json:"action"` // set, unset
	Effect string `json:"effect,omitempty"`
}

// Comparison is how the secret stood when an agent looked at it.
type Comparison struct {
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
	Exists  bool      `json:"exists"`
	Version string    `json:"version,omitempty"`
	Problem *Failure  `json:"problem,omitempty"` // why it could not be compared
}

// Step is one stage of approval.
type Step struct {
	ID        string   `json:"id"`
	Role      string   `json:"role"`      // of requests of before there were workflows; else empty
	From      Deciders `json:"from"`      // who may approve
	Approvals int      `json:"approvals"` // needed
	Given     int      `json:"given"`

	Fallback  *Deciders  `json:"fallback,omitempty"`  // who may approve too, once it is escalated
	Escalated bool       `json:"escalated,omitempty"` // it was open for too long
	Reminders int        `json:"reminders,omitempty"` // so far, while it is open
	OpenedAt  *time.Time `json:"opened_at,omitempty"` // while it is open
}

// Deciders are those who may do something: whoever fits one of the fields, and has the
// permission for it at that place.
type Deciders struct {
	People    []Person `json:"people,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	TeamHeads bool     `json:"team_heads,omitempty"` // of the project's team and those above it
	Owners    bool     `json:"owners,omitempty"`     // of the team or group that owns the secret
}

// Vote is what one person said.
type Vote struct {
	Step     string    `json:"step"`
	Approver Person    `json:"approver"`
	Via      []Person  `json:"via,omitempty"` // for whom, if not for oneself; the last is the one whom the step names
	Decision string    `json:"decision"`      // approved, rejected
	Comment  string    `json:"comment,omitempty"`
	At       time.Time `json:"at"`
}

// Failure says why a job failed.
type Failure struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Envelope is one sealed value: where it stands, never what it is.
type Envelope struct {
	ID          string    `json:"id"`
	Key         string    `json:"key"`
	State       string    `json:"state"` // ready, revealed, expired, failed
	Fingerprint string    `json:"fingerprint"`
	Expires     time.Time `json:"expires"`
	At          time.Time `json:"at"` // of the state
}

// Reveal asks for a value, sealed to a key that the caller made for this.
type Reveal struct {
	Recipient string `json:"recipient"` // public HPKE key: "xwing:…" or "x25519:…"
}

// Revealed is a value, shown once: sealed to the caller's key, bound to request,
// envelope, key, connection, ref and the caller's id until NotAfter.
type Revealed struct {
	Key      string    `json:"key"`
	Sealed   []byte    `json:"sealed"` // base64 of a value message of package seal
	NotAfter time.Time `json:"not_after"`
	Seq      uint64    `json:"seq"`
}

// Connection is a named secret store behind the agents of one cluster.
type Connection struct {
	Name        string `json:"name"`
	Provider    string `json:"provider"` // vault, aws-secrets-manager, azure-key-vault, gcp-secret-manager, file
	Cluster     string `json:"cluster"`
	Description string `json:"description"`
	State       string `json:"state"` // active, disabled

	DiscoverEverySeconds int `json:"discover_every_seconds"` // 0: scans are started by hand only

	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
	Seq       uint64    `json:"seq"`
}

// CreateConnection names a new one.
type CreateConnection struct {
	Name        string `json:"name"`
	Provider    string `json:"provider"`
	Cluster     string `json:"cluster"`
	Description string `json:"description,omitempty"`
}

// Reason says why something is disabled or revoked.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Agent is one agent, from its invitation on.
type Agent struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Cluster     string     `json:"cluster"`
	State       string     `json:"state"` // invited, expired, offline, online, revoked
	Version     string     `json:"version,omitempty"`
	InvitedAt   time.Time  `json:"invited_at"`
	TokenEnds   time.Time  `json:"token_ends"`
	EnrolledAt  *time.Time `json:"enrolled_at,omitempty"`
	ConnectedAt *time.Time `json:"connected_at,omitempty"` // the last time it was heard after silence
	LostAt      *time.Time `json:"lost_at,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
	Cosigned    *Cosigned  `json:"cosigned,omitempty"` // the newest checkpoint of the log that it vouches for
	Seq         uint64     `json:"seq"`
}

// Cosigned is the newest checkpoint of the log that a witness cosigned.
type Cosigned struct {
	Size int64     `json:"size"` // commits
	At   time.Time `json:"at"`   // by its own clock
}

// Invite asks for a one-time enrolment token.
type Invite struct {
	Name       string `json:"name"`
	Cluster    string `json:"cluster"`
	TTLSeconds int    `json:"ttl_seconds,omitempty"` // 1 to 900; 600 if left out
}

// Invitation is the answer. The token is shown once.
type Invitation struct {
	Agent   string    `json:"agent"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Seq     uint64    `json:"seq"`
}

// Event is one fact of the log, for auditors and for the history of a request.
type Event struct {
	Seq         uint64    `json:"seq"`
	Index       int       `json:"index"` // in its commit
	ID          string    `json:"id"`
	Type        string    `json:"type"`
	Stream      string    `json:"stream"`
	Time        time.Time `json:"time"`
	Actor       string    `json:"actor"`
	ActorName   string    `json:"actor_name,omitempty"` // of a person or a machine that is not erased
	Correlation string    `json:"correlation"`
	Command     string    `json:"command"`
	Data        any       `json:"data"`
}
