package api

import (
	"time"

	"secretsbridge/events"
	"secretsbridge/policy/files"
)

// Governance is all objects of one version.
type Governance struct {
	Version int             `json:"version"` // 0: nobody changed what the installation began with
	Objects []events.Object `json:"objects"` // by kind, then by name
	Seq     uint64          `json:"seq"`
	AsOf    uint64          `json:"as_of,omitempty"` // the last commit that counts, of what is shown as it was
}

// ChangeGovernance is a change to plan or to apply. A person in an object is an id or, of who
// may list people, an e-mail.
type ChangeGovernance struct {
	Version *int               `json:"version,omitempty"` // that it was made from; to apply, it is needed
	Set     []events.Object    `json:"set"`
	Removed []events.ObjectRef `json:"removed,omitempty"`
	Prune   bool               `json:"prune,omitempty"` // remove all others
	Note    string             `json:"note,omitempty"`  // why; of apply
}

// Plan is what a change would do.
type Plan struct {
	Version   int               `json:"version"` // that it would be on top of
	Changes   []ObjectChange    `json:"changes"` // by kind, then by name
	Faults    []GovernanceFault `json:"faults"`  // with one that is no warning, nothing can be applied
	Amendment *AmendmentNeed    `json:"amendment,omitempty"`
	OwnRights string            `json:"own_rights,omitempty"` // what it would give its author, who then needs others to approve it

	// People are those who gain or lose something. Who may not list people gets none; all others
	// are counted in PeopleLeftOut.
	People        []PersonShift     `json:"people"`
	PeopleLeftOut int               `json:"people_left_out"`
	Names         map[string]string `json:"names,omitempty"` // of people by id, for who may list people
	Seq           uint64            `json:"seq"`
}

// ObjectChange is what happens to one object.
type ObjectChange struct {
	Kind   string              `json:"kind"`
	Name   string              `json:"name"`
	Action string              `json:"action"` // added, changed, removed
	Fields []files.FieldChange `json:"fields"`

	LeftOut int `json:"left_out,omitempty"` // fields beyond those
}

// GovernanceFault is one thing that is wrong with the objects.
type GovernanceFault struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
	Warning bool   `json:"warning,omitempty"`
}

// AmendmentNeed says who must approve a change.
type AmendmentNeed struct {
	Approvals int              `json:"approvals"`
	From      events.Approvers `json:"from"`
}

// PersonShift is what somebody gains and loses.
type PersonShift struct {
	Person  Person            `json:"person"`
	Machine bool              `json:"machine,omitempty"`
	Gained  []PermissionShift `json:"gained"`
	Lost    []PermissionShift `json:"lost"`
}

// PermissionShift is where a permission comes or goes.
type PermissionShift struct {
	Permission string   `json:"permission"`
	Everywhere bool     `json:"everywhere,omitempty"`
	At         []string `json:"at,omitempty"`       // CONNECTION/PREFIX
	LeftOut    int      `json:"left_out,omitempty"` // places beyond those
}

// Applied is what became of a change: another version, an amendment that waits, or neither.
type Applied struct {
	Version   int    `json:"version,omitempty"`
	Amendment string `json:"amendment,omitempty"`
	Seq       uint64 `json:"seq"`
}

// GovernanceVersion is one version in the history. Set and Removed name objects.
type GovernanceVersion struct {
	Version   int                `json:"version"`
	At        time.Time          `json:"at"`
	Actor     string             `json:"actor"`          // such as user:u_…
	Name      string             `json:"name,omitempty"` // of that person
	Note      string             `json:"note,omitempty"`
	Amendment string             `json:"amendment,omitempty"`
	Set       []events.ObjectRef `json:"set"`
	Removed   []events.ObjectRef `json:"removed"`
	LeftOut   int                `json:"left_out,omitempty"` // objects beyond those
	Seq       uint64             `json:"seq"`
}

// Amendment is a change that others must approve.
type Amendment struct {
	ID         string           `json:"id"`
	State      string           `json:"state"` // open, stale, over, applied, rejected, withdrawn
	By         Person           `json:"by"`
	On         int              `json:"on"`                // the version that it was written for
	Version    int              `json:"version,omitempty"` // that it made
	Note       string           `json:"note,omitempty"`
	Objects    int              `json:"objects"` // how many it sets or removes
	Approvals  int              `json:"approvals"`
	From       events.Approvers `json:"from"`
	Words      []AmendmentWord  `json:"words"` // in order
	ProposedAt time.Time        `json:"proposed_at"`
	Until      time.Time        `json:"until"`

	// Of one amendment: against the version that it was written for, and against what counts now.
	Changes []ObjectChange `json:"changes,omitempty"`
	Now     []ObjectChange `json:"changes_now,omitempty"`
	Seq     uint64         `json:"seq"` // of the newest fact of the governance
}

// AmendmentWord is what somebody said to an amendment.
type AmendmentWord struct {
	Person   Person    `json:"person"`
	Decision string    `json:"decision"` // approved, rejected
	Comment  string    `json:"comment,omitempty"`
	At       time.Time `json:"at"`
}

// Comment is what one has to say.
type Comment struct {
	Comment string `json:"comment,omitempty"`
}

// Permissions are what there is to grant.
type Permissions struct {
	Permissions []PermissionSentence `json:"permissions"`
	Roles       []SystemRole         `json:"roles"`
}

// PermissionSentence is a permission and what it lets somebody do.
type PermissionSentence struct {
	Permission string `json:"permission"`
	Sentence   string `json:"sentence"`
}

// SystemRole is a role that always exists.
type SystemRole struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"`
}

// ExplainPolicy asks what would become of a request, and why.
type ExplainPolicy struct {
	Person    string     `json:"person,omitempty"`    // an id; oneself if it is empty
	Secret    string     `json:"secret"`              // CONNECTION/REF, or an id of the inventory
	Operation string     `json:"operation,omitempty"` // read unless it says patch
	Create    bool       `json:"create,omitempty"`
	Keys      []string   `json:"keys,omitempty"`
	At        *time.Time `json:"at,omitempty"` // now unless it says so
}

// Explanation is what would become of a request.
type Explanation struct {
	Secret   string         `json:"secret"` // CONNECTION/REF
	Allowed  bool           `json:"allowed"`
	Refusal  string         `json:"refusal,omitempty"` // a stable code
	Rule     string         `json:"rule,omitempty"`
	Effect   string         `json:"effect,omitempty"`
	Workflow string         `json:"workflow,omitempty"`
	Version  int            `json:"version"` // of the governance
	Place    *Place         `json:"place,omitempty"`
	Clauses  []PolicyClause `json:"clauses"`
	Steps    []PolicyStep   `json:"steps"`
	Withheld []string       `json:"withheld,omitempty"` // rules that would have let one read at once
	Wants    *Wants         `json:"wants,omitempty"`    // of whoever asks; nothing if it is not allowed

	UsualWait *UsualWait `json:"usual_wait,omitempty"` // for the approvals of its workflow
}

// UsualWait is the median time from submit to approval.
type UsualWait struct {
	Seconds int `json:"seconds"`
	Of      int `json:"of"` // so many requests, the newest ones
}

// Wants is what a workflow asks of whoever asks for a secret.
type Wants struct {
	MinLength  int         `json:"min_length,omitempty"`  // of the reason, in characters
	Pattern    string      `json:"pattern,omitempty"`     // RE2, somewhere in the reason
	Ticket     string      `json:"ticket,omitempty"`      // RE2, of the whole ticket; then one is required
	StepUp     bool        `json:"step_up,omitempty"`     // a fresh second factor, to open what is read
	BreakGlass *WantsGlass `json:"break_glass,omitempty"` // nothing: the person may not do without approval
}

// WantsGlass is what it asks of whoever does without approval.
type WantsGlass struct {
	MinLength     int `json:"min_length"` // of the second reason, in characters
	ReviewSeconds int `json:"review_within_seconds"`
}

// Place is where a secret lies.
type Place struct {
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
	Kind        string `json:"environment_kind,omitempty"`
	Team        string `json:"team,omitempty"`
	Owner       string `json:"owner,omitempty"`
}

// PolicyClause is one thing that had to do with a decision.
type PolicyClause struct {
	About   string `json:"about,omitempty"` // binding, rule, step; empty: the ask as a whole
	Name    string `json:"name,omitempty"`
	Effect  string `json:"effect,omitempty"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
	When    string `json:"when,omitempty"` // the condition of a rule
}

// PolicyStep is a step of the workflow, and who may vote in it now.
type PolicyStep struct {
	Step      string   `json:"step"`
	Approvals int      `json:"approvals"`
	Voters    int      `json:"voters"`
	Fallback  int      `json:"fallback_voters"`
	Stranded  bool     `json:"stranded,omitempty"` // there are too few, even with the fallback
	People    []Person `json:"people,omitempty"`   // the voters, for who may list people; at most 50
	From      Deciders `json:"from"`               // whom the workflow names
}

// Simulation is what a draft would change.
type Simulation struct {
	Version   int               `json:"version"` // that it would be on top of
	Faults    []GovernanceFault `json:"faults"`
	Replayed  int               `json:"replayed"`
	LeftOut   int               `json:"left_out"` // older requests, or those of secrets one may not see
	Idle      int               `json:"idle"`
	Changes   []RequestShift    `json:"changes"`          // newest first
	More      int               `json:"changes_left_out"` // beyond those
	Stranded  []StrandedPlace   `json:"stranded"`
	MoreStuck int               `json:"stranded_left_out"`
	Unlooked  int               `json:"places_left_out"`
}

// RequestShift is one past request that would go another way.
type RequestShift struct {
	Request string     `json:"request"`
	Kinds   []string   `json:"kinds"` // denied, allowed, refusal, rule, workflow, more_approvals, fewer_approvals
	Before  RequestWay `json:"before"`
	After   RequestWay `json:"after"`
}

// RequestWay is where a request leads.
type RequestWay struct {
	Allowed   bool   `json:"allowed"`
	Refusal   string `json:"refusal,omitempty"`
	Rule      string `json:"rule,omitempty"`
	Workflow  string `json:"workflow,omitempty"`
	Direct    bool   `json:"direct,omitempty"`
	Approvals int    `json:"approvals"`
}

// StrandedPlace is a place where a request could never be approved.
type StrandedPlace struct {
	Binding  string `json:"binding"`
	Rule     string `json:"rule"`
	Workflow string `json:"workflow"`
	Step     string `json:"step"`
	Why      string `json:"why"`
}
