package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/policy/files"
	"secretsbridge/rights"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

const (
	// maxGovernanceBody is how long a change may be: one that fits into a commit, with e-mails
	// in place of ids.
	maxGovernanceBody = 2 << 20

	// maxEmails is how many different e-mails one call may name: each is looked up.
	maxEmails = 2_000

	// maxToldRefs is how many objects a version of the history names.
	maxToldRefs = 50
)

// showGovernance answers "not modified" to who has the newest version.
func (a *API) showGovernance(c *call) (reply, error) {
	if p, err := a.pastOf(c); err != nil || p.asked() {
		return answerUnless(err, func() (reply, error) { return a.showGovernanceThen(c, p) })
	}
	history, seq, err := a.history(c.ctx())
	if err != nil {
		return reply{}, err
	}
	return c.unlessSeen(fmt.Sprintf(`"%d"`, history.Version), api.Governance{
		Version: history.Version, Objects: objectsOf(history), Seq: uint64(seq),
	}), nil
}

// history is the governance as the log tells it.
func (a *API) history(ctx context.Context) (command.Governance, events.Seq, error) {
	return command.Load[command.Governance](ctx, a.Log, events.GovernanceStream())
}

// objectsOf are all objects, sorted.
func objectsOf(g command.Governance) []events.Object {
	all := make([]events.Object, 0, len(g.Objects))
	for _, o := range standing(g) {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b events.Object) int { return a.Ref().Compare(b.Ref()) })
	return all
}

// standing are the objects that count: those that the installation began with, until somebody
// changes something.
func standing(g command.Governance) map[events.ObjectRef]events.Object {
	if g.Version == 0 {
		return policy.Initial()
	}
	return g.Objects
}

// showVersion shows the objects as they were from a version on.
func (a *API) showVersion(c *call) (reply, error) {
	n, err := strconv.Atoi(c.param("n"))
	if err != nil || n < 0 {
		return reply{}, errVersion
	}
	g, seq, err := a.asOfVersion(c.ctx(), n)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Governance{Version: n, Objects: objectsOf(g), Seq: uint64(seq)}}, nil
}

// asOfVersion folds the history up to a version. Errors: errVersion.
func (a *API) asOfVersion(ctx context.Context, n int) (g command.Governance, seq events.Seq, err error) {
	commits, err := a.Log.Load(ctx, events.GovernanceStream())
	if err != nil {
		return g, 0, err
	}
	for _, commit := range commits {
		next := g
		for _, e := range commit.Events {
			next = next.Evolve(e)
		}
		if next.Version > n {
			break
		}
		g, seq = next, commit.Seq
	}
	if g.Version != n {
		return g, 0, errVersion
	}
	return g, seq, nil
}

// governanceHistory lists versions, newest first. The cursor is the version of the last one.
func (a *API) governanceHistory(c *call) (reply, error) {
	q, err := c.query("cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	limit, before, err := cursorOf(q.Get("cursor"), limitOf, q)
	if err != nil {
		return reply{}, err
	}
	commits, err := a.Log.Load(c.ctx(), events.GovernanceStream())
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.GovernanceVersion]{Items: []api.GovernanceVersion{}}
	var who []events.UserID
	for _, commit := range slices.Backward(commits) {
		for _, e := range commit.Events {
			f, ok := e.Fact.(events.GovernanceChanged)
			if !ok || before > 0 && f.Version >= before {
				continue
			}
			if len(page.Items) == limit {
				page.Next = strconv.Itoa(page.Items[limit-1].Version)
				break
			}
			page.Items = append(page.Items, versionOf(e, f, commit.Seq))
			if id, ok := e.Actor.User(); ok {
				who = append(who, id)
			}
		}
		if page.Next != "" {
			break
		}
	}
	names, err := a.People.Names(c.ctx(), who)
	if err != nil {
		return reply{}, err
	}
	for i := range page.Items {
		if id, ok := events.Actor(page.Items[i].Actor).User(); ok {
			page.Items[i].Name = names[id]
		}
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func versionOf(e events.Event, f events.GovernanceChanged, seq events.Seq) api.GovernanceVersion {
	v := api.GovernanceVersion{
		Version: f.Version, At: e.Time, Actor: string(e.Actor), Note: f.Note, Amendment: string(f.Amendment),
		Set: []events.ObjectRef{}, Removed: []events.ObjectRef{}, Seq: uint64(seq),
	}
	for _, o := range f.Set {
		v.Set = append(v.Set, o.Ref())
	}
	v.Removed = append(v.Removed, f.Removed...)
	for _, list := range []*[]events.ObjectRef{&v.Set, &v.Removed} {
		if over := len(*list) - maxToldRefs; over > 0 {
			*list, v.LeftOut = (*list)[:maxToldRefs], v.LeftOut+over
		}
	}
	return v
}

// draft is a change as it was sent, and what can be said of it at once.
type draft struct {
	api.ChangeGovernance
	faults []policy.Fault
}

// draft reads a change. People become ids; who does not exist is a fault.
func (a *API) draft(c *call) (draft, error) {
	var m struct {
		Version *int               `json:"version"`
		Set     *[]json.RawMessage `json:"set"`
		Removed []events.ObjectRef `json:"removed"`
		Prune   bool               `json:"prune"`
		Note    string             `json:"note"`
	}
	if err := c.decode(&m); err != nil {
		return draft{}, err
	}
	switch {
	case m.Set == nil:
		return draft{}, errBodyMalformed.because("say which objects to set; none is an empty list")
	case m.Prune && len(m.Removed) > 0:
		return draft{}, errBodyMalformed.because("say removed or prune, not both")
	case utf8.RuneCountInString(m.Note) > command.MaxReason:
		return draft{}, command.ErrReasonTooLong
	}
	d := draft{ChangeGovernance: api.ChangeGovernance{Version: m.Version, Removed: m.Removed, Prune: m.Prune, Note: m.Note}}
	if len(*m.Set)+len(m.Removed) > command.MaxObjects {
		return draft{}, command.ErrTooManyObjects
	}
	for i, raw := range *m.Set {
		o, err := decodeObject(raw, i)
		if err != nil {
			return draft{}, err
		}
		d.Set = append(d.Set, o)
	}
	return d, a.resolvePeople(c, &d)
}

// decodeObject reads an object strictly: a field that its kind does not have is refused, and so
// is one that is there twice.
func decodeObject(raw json.RawMessage, place int) (events.Object, error) {
	var head struct {
		Kind string          `json:"kind"`
		Name string          `json:"name"`
		Spec json.RawMessage `json:"spec"`
	}
	where := "set[" + strconv.Itoa(place) + "]: "
	if err := decode(raw, &head); err != nil {
		return events.Object{}, within(err, where)
	}
	shape, ok := files.Shape(events.ObjectKind(head.Kind))
	if !ok {
		return events.Object{}, errBodyMalformed.because(where + "its kind is none of " + joined(events.ObjectKinds))
	}
	if !events.ValidName(head.Name) {
		return events.Object{}, errBodyMalformed.because(where + `a name has 1 to 40 of a-z, 0-9 and "-", and begins with a letter`)
	}
	where += head.Kind + "/" + head.Name + ": "
	if len(head.Spec) == 0 || head.Spec[0] != '{' {
		return events.Object{}, errBodyMalformed.because(where + "spec is an object of fields")
	}
	if err := checkFields(head.Spec, shape); err != nil {
		return events.Object{}, within(err, where)
	}
	o, err := events.DecodeObject(raw)
	if err != nil {
		return events.Object{}, errBodyMalformed.because(where + explainJSON(errors.Unwrap(err)))
	}
	return files.Tidy(o), nil
}

// within says where in the body something is wrong.
func within(err error, where string) error {
	var p *problem
	if errors.As(err, &p) {
		return p.because(where + p.Detail)
	}
	return err
}

// resolvePeople puts ids in place of e-mails. Whether an e-mail is somebody's learns only who may
// list people; from anybody else none is taken. No fault repeats one.
func (a *API) resolvePeople(c *call, d *draft) error {
	found := map[string]events.UserID{} // empty: nobody's
	mayAsk := c.may(policy.PersonList, policy.Spot{})
	var failed error
	for i, o := range d.Set {
		d.Set[i] = files.MapPeople(o, func(path string, who events.UserID) events.UserID {
			fault := func(problem string) events.UserID {
				d.faults = append(d.faults, policy.Fault{Object: o.Ref(), Field: path, Problem: problem})
				return who
			}
			switch {
			case failed != nil || files.IsID(who):
				return who
			case !files.IsEmail(who):
				return fault("a person is an id, u_…, or an e-mail")
			case !mayAsk:
				return fault("name people by their ids: e-mails are for those who may list people")
			}
			email := strings.ToLower(string(who))
			id, known := found[email]
			if !known {
				if len(found) >= maxEmails {
					failed = errBodyTooLarge.because(fmt.Sprintf("more than %d different e-mails are in it; use ids", maxEmails))
					return who
				}
				person, err := a.People.ByEmail(c.ctx(), email)
				switch {
				case errors.Is(err, store.ErrNotFound):
				case err != nil:
					failed = err
					return who
				default:
					id = person.ID
				}
				found[email] = id
			}
			if id == "" {
				return fault("nobody has this e-mail; `sb person list` shows people")
			}
			return id
		})
	}
	return failed
}

// change is a draft as a command. Its functions are called with what the log holds then.
func (a *API) change(c *call, d draft) (change command.Change, failed *error) {
	known, failed := a.known(c)
	return command.Change{
		By: c.person.ID, Set: d.Set, Removed: d.Removed, Note: d.Note, Initial: policy.Initial(),
		Check: func(objects map[events.ObjectRef]events.Object) error {
			return rejection(a.faults(objects, known, c.now), *failed)
		},
		Alone: func(base, objects map[events.ObjectRef]events.Object) error {
			if lifts := a.lifts(c, policy.Compile(0, base), policy.Compile(0, objects)); lifts != "" {
				return errOwnRights.because(lifts + ": somebody else must make this change, or approve it as an amendment")
			}
			return nil
		},
	}, failed
}

// lifts says what a change would give to the caller, or to somebody who can be the machine that
// calls: who issued a token of it, or could.
func (a *API) lifts(c *call, before, after *policy.Governance) string {
	if said := policy.Lifts(before, after, rights.SubjectOf(a.Rights.User(c.person.ID)), c.now); said != "" || c.session != "" {
		return said
	}
	issuers := a.Rights.User(c.person.ID).Issuers
	for _, u := range a.Rights.Users() {
		if !slices.Contains(issuers, u.ID) && !a.Rights.Powers(u.ID).Hold(policy.MachineManage, policy.Spot{}, c.now) {
			continue
		}
		if policy.Lifts(before, after, rights.SubjectOf(u), c.now) != "" {
			return "it would give something to somebody who manages this machine"
		}
	}
	return ""
}

// known is what exists beside the objects. What cannot be looked up is an error for the caller
// to look at.
func (a *API) known(c *call) (policy.Known, *error) {
	var failed error
	seen := map[events.ConnectionID]bool{}
	return policy.Known{
		Users: func(id events.UserID) bool { return a.Rights.User(id).State != "" },
		Connections: func(id events.ConnectionID) bool {
			is, ok := seen[id]
			if !ok && failed == nil {
				connection, _, err := command.Load[command.Connection](c.ctx(), a.Log, events.ConnectionStream(id))
				failed, is = err, connection.State != ""
				seen[id] = is
			}
			return is
		},
	}, &failed
}

// rejection is the first faults, as an error. Warnings are none.
func rejection(faults []policy.Fault, failed error) error {
	if failed != nil {
		return failed
	}
	var said []string
	for _, f := range faults {
		if !f.Warning {
			said = append(said, f.String())
		}
	}
	switch n := len(said); {
	case n == 0:
		return nil
	case n > 3:
		said = append(said[:3], fmt.Sprintf("and %d more", n-3))
	}
	return errInvalidGovernance.because(strings.Join(said, "; "))
}

// removals are what a draft removes from what is there.
func (d draft) removals(base map[events.ObjectRef]events.Object) []events.ObjectRef {
	if !d.Prune {
		return d.Removed
	}
	kept := map[events.ObjectRef]bool{}
	for _, o := range d.Set {
		kept[o.Ref()] = true
	}
	var gone []events.ObjectRef
	for ref := range base {
		if !kept[ref] {
			gone = append(gone, ref)
		}
	}
	slices.SortFunc(gone, events.ObjectRef.Compare)
	return gone
}

// applyGovernance changes everything that was sent, or nothing.
func (a *API) applyGovernance(c *call) (reply, error) {
	d, err := a.draft(c)
	switch {
	case err != nil:
		return reply{}, err
	case d.Version == nil:
		return reply{}, errBodyMalformed.because("say the version that the change was made from")
	}
	if err := rejection(d.faults, nil); err != nil {
		return reply{}, err
	}
	change, _ := a.change(c, d)
	change.On = *d.Version
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.GovernanceStream(), meta, func(g command.Governance) ([]events.Fact, error) {
		change.Removed = d.removals(standing(g))
		return g.Change(meta, change)
	})
	if err != nil {
		return reply{}, err
	}
	made, err := a.madeBy(c.ctx(), meta.Command, done.Events)
	if err != nil {
		return reply{}, err
	}
	made.Seq = uint64(done.Seq)
	return reply{status: http.StatusOK, seq: done.Seq, body: made}, nil
}

// madeBy is what a command came to, also when it was taken before.
func (a *API) madeBy(ctx context.Context, id events.CommandID, fresh []events.Event) (made api.Applied, err error) {
	commits := []events.Recorded{{Events: fresh}}
	if len(fresh) == 0 {
		if commits, err = a.Log.Load(ctx, events.GovernanceStream()); err != nil {
			return made, err
		}
	}
	for _, commit := range commits {
		for _, e := range commit.Events {
			if e.Command != id {
				continue
			}
			switch f := e.Fact.(type) {
			case events.GovernanceChanged:
				made.Version = f.Version
			case events.AmendmentProposed:
				made.Amendment = string(f.Amendment)
			}
		}
	}
	return made, nil
}
