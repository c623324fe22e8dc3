package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ObjectKind is what an object of the governance is.
type ObjectKind string

// The kinds, in the order in which they lean on each other.
const (
	KindRole     ObjectKind = "Role"     // permissions with a name
	KindTeam     ObjectKind = "Team"     // people, in a tree
	KindGroup    ObjectKind = "Group"    // people, by hand or by a claim of the identity provider
	KindProject  ObjectKind = "Project"  // what secrets serve, with its environments
	KindBinding  ObjectKind = "Binding"  // which refs of a connection belong to which environment
	KindWorkflow ObjectKind = "Workflow" // who must agree, and until when
	KindRule     ObjectKind = "Rule"     // who may ask for what, and under which workflow
	KindSettings ObjectKind = "Settings" // of the installation; there is one, named "installation"
)

// ObjectKinds are all kinds, in their order.
var ObjectKinds = []ObjectKind{KindRole, KindTeam, KindGroup, KindProject, KindBinding, KindWorkflow, KindRule, KindSettings}

// ObjectRef names an object. The name is one of [ValidName].
type ObjectRef struct {
	Kind ObjectKind `json:"kind"`
	Name string     `json:"name"`
}

func (r ObjectRef) String() string { return string(r.Kind) + "/" + r.Name }

// Compare orders names by their kinds, as [ObjectKinds] has them, and then as text.
func (r ObjectRef) Compare(o ObjectRef) int {
	return cmp.Or(slices.Index(ObjectKinds, r.Kind)-slices.Index(ObjectKinds, o.Kind), strings.Compare(r.Name, o.Name))
}

// Installation names the settings: there are no others.
var Installation = ObjectRef{KindSettings, "installation"}

// Object is one piece of the governance: a kind, a name, and what that kind says.
type Object struct {
	Kind ObjectKind
	Name string
	Spec Spec // of the kind; never nil in a fact
}

// Ref is the object's name.
func (o Object) Ref() ObjectRef { return ObjectRef{o.Kind, o.Name} }

// Spec is what an object says: [Role], [Team], [Group], [Project], [Binding], [WorkflowSpec],
// [Rule] or [Settings].
type Spec interface{ kind() ObjectKind }

// Role is a set of permissions (package policy lists them).
type Role struct {
	Description string   `json:"description,omitempty"`
	Permissions []string `json:"permissions"`
}

// Team is a node of the tree of teams. Membership alone grants nothing.
type Team struct {
	Description string   `json:"description,omitempty"`
	Parent      string   `json:"parent,omitempty"` // a team; empty: a root
	Members     []UserID `json:"members,omitempty"`
	Heads       []UserID `json:"heads,omitempty"` // who decides for the team; need not be members
}

// Group is people, for steps and grants. Whoever the identity provider says is in the group
// Claim belongs to it, beside Members.
type Group struct {
	Description string   `json:"description,omitempty"`
	Members     []UserID `json:"members,omitempty"`
	Claim       string   `json:"claim,omitempty"`  // a value of the groups claim
	Grants      []Grant  `json:"grants,omitempty"` // what everybody in the group has, while in it
}

// Grant is a role in a scope.
type Grant struct {
	Role  string `json:"role"`
	Scope Scope  `json:"scope,omitzero"` // zero: everywhere
}

// Scope is a part of the world. Every field that is set narrows it; the zero scope is
// everything. What has no project, say a ref that nothing binds, is in no scope that names one.
type Scope struct {
	Team        string          `json:"team,omitempty"` // with all teams below
	Project     string          `json:"project,omitempty"`
	Environment string          `json:"environment,omitempty"` // the name of one, in any project unless Project is set
	Kind        EnvironmentKind `json:"environment_kind,omitempty"`
	Connection  ConnectionID    `json:"connection,omitempty"`
	Prefix      string          `json:"prefix,omitempty"` // of refs, by whole segments; needs Connection
}

// Project is what secrets serve.
type Project struct {
	Description  string        `json:"description,omitempty"`
	Team         string        `json:"team,omitempty"` // whose it is
	Environments []Environment `json:"environments"`
}

// Environment is a stage of a project.
type Environment struct {
	Name        string          `json:"name"` // unique in the project; one of [ValidName]
	Kind        EnvironmentKind `json:"kind"`
	Description string          `json:"description,omitempty"`
}

// EnvironmentKind is what rules about production go by.
type EnvironmentKind string

const (
	Production    EnvironmentKind = "prod"
	NonProduction EnvironmentKind = "non-prod"
)

// Binding says that refs of a connection below a prefix belong to an environment. Of several
// that fit a ref the one with the longest prefix counts.
type Binding struct {
	Connection  ConnectionID `json:"connection"`
	Prefix      string       `json:"prefix,omitempty"` // by whole segments; empty: the whole connection
	Project     string       `json:"project"`
	Environment string       `json:"environment"`
	Operations  []Operation  `json:"operations"`     // what may be asked for: read, patch
	Keys        []string     `json:"keys,omitempty"` // which keys may be asked for; none: all
}

// Effect of a rule.
type RuleEffect string

const (
	EffectDeny    RuleEffect = "deny"    // refuses, whatever else allows
	EffectRequire RuleEffect = "require" // allows what the workflow approves
	EffectReveal  RuleEffect = "reveal"  // allows to read at once, with step-up; never in production
)

// Rule says who may ask for what. All of Scope, Operations and When must fit.
type Rule struct {
	Description string      `json:"description,omitempty"`
	Disabled    bool        `json:"disabled,omitempty"`
	Priority    int         `json:"priority,omitempty"` // -1000 to 1000; the highest counts
	Scope       Scope       `json:"scope,omitzero"`
	Operations  []Operation `json:"operations,omitempty"` // none: all
	When        string      `json:"when,omitempty"`       // CEL; empty: always
	Effect      RuleEffect  `json:"effect"`
	Workflow    string      `json:"workflow,omitempty"`           // of require
	Seconds     int         `json:"reveal_ttl_seconds,omitempty"` // of reveal: how long the value can be opened; 10 to 900
}

// Approvers says who may do something: whoever fits one of the fields, and holds the
// permission for it at that place.
type Approvers struct {
	People    []UserID `json:"people,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Roles     []string `json:"roles,omitempty"`      // held in a scope that covers the secret
	TeamHeads bool     `json:"team_heads,omitempty"` // of the project's team and the teams above it
	Owners    bool     `json:"owners,omitempty"`     // members and heads of the team or group that owns the secret
}

// Nobody reports whether it names nobody at all.
func (a Approvers) Nobody() bool {
	return len(a.People)+len(a.Groups)+len(a.Roles) == 0 && !a.TeamHeads && !a.Owners
}

// WorkflowSpec is who must agree to a request, and its ends. Seconds that are 0 are the
// installation's.
type WorkflowSpec struct {
	Description     string        `json:"description,omitempty"`
	Steps           []StepSpec    `json:"steps"`                // in order, 1 to 10
	Veto            Approvers     `json:"veto,omitzero"`        // who may reject at any step, beside its approvers
	Delegation      bool          `json:"delegation,omitempty"` // whether an approver's delegate may vote
	StepUp          StepUp        `json:"step_up,omitzero"`
	Justification   Justification `json:"justification,omitzero"`
	PendingSeconds  int           `json:"pending_ttl_seconds,omitempty"`
	ApprovalSeconds int           `json:"approval_ttl_seconds,omitempty"`
	RevealSeconds   int           `json:"reveal_ttl_seconds,omitempty"`
	Reapprove       Reapprove     `json:"reapprove,omitempty"` // of patches; empty: the installation's
	BreakGlass      *BreakGlass   `json:"break_glass,omitempty"`
}

// StepSpec is one stage of approval.
type StepSpec struct {
	ID              StepID    `json:"id"`
	Approvals       int       `json:"approvals"` // how many different people must agree
	From            Approvers `json:"from"`
	RemindSeconds   int       `json:"remind_after_seconds,omitempty"`   // again and again while it is open; 0: never
	EscalateSeconds int       `json:"escalate_after_seconds,omitempty"` // when Fallback may vote too; 0: never
	Fallback        Approvers `json:"fallback,omitzero"`
}

// StepUp is where a fresh second factor is asked for.
type StepUp struct {
	Approve bool `json:"approve,omitempty"`
	Reveal  bool `json:"reveal,omitempty"`
}

// Justification is what a reason must be.
type Justification struct {
	MinLength int    `json:"min_length,omitempty"` // characters
	Pattern   string `json:"pattern,omitempty"`    // RE2, somewhere in the reason
	Ticket    string `json:"ticket,omitempty"`     // RE2, of the whole ticket; then one is required
}

// BreakGlass lets named people do without approval, once they say why a second time, and
// makes others look at it afterwards.
type BreakGlass struct {
	From          Approvers `json:"from"`
	Review        Approvers `json:"review"` // never whoever broke the glass
	ReviewSeconds int       `json:"review_within_seconds"`
	MinLength     int       `json:"min_length,omitempty"` // of the second reason, in characters
}

// Settings are the installation's.
type Settings struct {
	// Amendments says which changes of the governance need approval.
	Amendments *Amendments `json:"amendments,omitempty"`

	// StepUp lists permissions whose every use needs a fresh second factor, and how long one
	// stays fresh (60 to 3600 s; 0: 300).
	StepUp       []string `json:"step_up,omitempty"`
	FreshSeconds int      `json:"step_up_fresh_seconds,omitempty"`
}

// Amendments says that changes to objects of some kinds count once others approved them.
type Amendments struct {
	Kinds     []ObjectKind `json:"kinds"`
	Approvals int          `json:"approvals"`
	From      Approvers    `json:"from"` // people, groups and roles only
}

func (Role) kind() ObjectKind         { return KindRole }
func (Team) kind() ObjectKind         { return KindTeam }
func (Group) kind() ObjectKind        { return KindGroup }
func (Project) kind() ObjectKind      { return KindProject }
func (Binding) kind() ObjectKind      { return KindBinding }
func (WorkflowSpec) kind() ObjectKind { return KindWorkflow }
func (Rule) kind() ObjectKind         { return KindRule }
func (Settings) kind() ObjectKind     { return KindSettings }

// object is the JSON of an object.
type object struct {
	Kind ObjectKind      `json:"kind"`
	Name string          `json:"name"`
	Spec json.RawMessage `json:"spec"`
}

// MarshalJSON writes {"kind":…,"name":…,"spec":{…}}.
func (o Object) MarshalJSON() ([]byte, error) {
	if o.Spec == nil || o.Spec.kind() != o.Kind {
		return nil, fmt.Errorf("object %s says nothing of its kind", o.Ref())
	}
	spec, err := marshalPlain(o.Spec)
	if err != nil {
		return nil, err
	}
	return marshalPlain(object{o.Kind, o.Name, spec})
}

// UnmarshalJSON reads what a fact holds; fields of a newer version are left out.
func (o *Object) UnmarshalJSON(data []byte) error {
	decoded, err := decodeObject(data, false)
	*o = decoded
	return err
}

// DecodeObject reads an object that somebody wrote: a field that does not exist is refused.
func DecodeObject(data []byte) (Object, error) { return decodeObject(data, true) }

func decodeObject(data []byte, strict bool) (Object, error) {
	var raw object
	if err := decodeJSON(data, &raw, strict); err != nil {
		return Object{}, err
	}
	o := Object{Kind: raw.Kind, Name: raw.Name}
	var err error
	switch raw.Kind {
	case KindRole:
		o.Spec, err = specOf[Role](raw.Spec, strict)
	case KindTeam:
		o.Spec, err = specOf[Team](raw.Spec, strict)
	case KindGroup:
		o.Spec, err = specOf[Group](raw.Spec, strict)
	case KindProject:
		o.Spec, err = specOf[Project](raw.Spec, strict)
	case KindBinding:
		o.Spec, err = specOf[Binding](raw.Spec, strict)
	case KindWorkflow:
		o.Spec, err = specOf[WorkflowSpec](raw.Spec, strict)
	case KindRule:
		o.Spec, err = specOf[Rule](raw.Spec, strict)
	case KindSettings:
		o.Spec, err = specOf[Settings](raw.Spec, strict)
	default:
		err = fmt.Errorf("kind %q is none of %v", raw.Kind, ObjectKinds)
	}
	if err != nil {
		return Object{}, fmt.Errorf("%s: %w", o.Ref(), err)
	}
	return o, nil
}

func specOf[S Spec](data []byte, strict bool) (Spec, error) {
	var spec S
	if len(data) == 0 {
		return spec, errors.New("it has no spec")
	}
	err := decodeJSON(data, &spec, strict)
	return spec, err
}

func decodeJSON(data []byte, v any, strict bool) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if strict {
		dec.DisallowUnknownFields()
	}
	return dec.Decode(v)
}

// GovernanceChanged says which objects are new or different, and which are gone. All of it
// counts from this commit on. Version counts from 1.
type GovernanceChanged struct {
	Version   int         `json:"version"`
	Set       []Object    `json:"set,omitempty"`
	Removed   []ObjectRef `json:"removed,omitempty"`
	Note      string      `json:"note,omitempty"`      // why, in the words of who changed it
	Amendment AmendmentID `json:"amendment,omitempty"` // that was approved
}

// AmendmentProposed says that somebody wants a change that others must approve, on top of a
// version. It ends at Until, exclusive.
type AmendmentProposed struct {
	Amendment AmendmentID `json:"amendment"`
	By        UserID      `json:"by"`
	On        int         `json:"on"` // the version that it was written for
	Set       []Object    `json:"set,omitempty"`
	Removed   []ObjectRef `json:"removed,omitempty"`
	Note      string      `json:"note,omitempty"`
	Approvals int         `json:"approvals"`
	From      Approvers   `json:"from"`
	Until     time.Time   `json:"until"`
}

// AmendmentApproved says that one person agreed. With the last one the change follows.
type AmendmentApproved struct {
	Amendment AmendmentID `json:"amendment"`
	By        UserID      `json:"by"`
	Comment   string      `json:"comment,omitempty"`
}

// AmendmentRejected ends an amendment: one no is enough.
type AmendmentRejected struct {
	Amendment AmendmentID `json:"amendment"`
	By        UserID      `json:"by"`
	Comment   string      `json:"comment,omitempty"`
}

// AmendmentWithdrawn ends an amendment by the wish of who proposed it.
type AmendmentWithdrawn struct {
	Amendment AmendmentID `json:"amendment"`
}

// GovernanceStream is the one history of roles, teams, groups, projects, bindings, workflows,
// rules and settings: what leans on each other changes together (decision 0083).
func GovernanceStream() Stream { return Stream{AggregateGovernance, "main"} }

func (GovernanceChanged) fact()  {}
func (AmendmentProposed) fact()  {}
func (AmendmentApproved) fact()  {}
func (AmendmentRejected) fact()  {}
func (AmendmentWithdrawn) fact() {}
