package projections

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
)

// GovernanceView is the one of [Replay] that is no table: all objects that count, one a row.
const GovernanceView = "governance"

// Replay folds the log in memory, as the folder of the views does: with the same folds, into
// the same rows. It has the views whose rows follow from the facts of one history each. What
// compares histories with each other (the inventory, its owners, labels and counts) is
// folded by Postgres: see [ReplayInto].
//
// The zero Replay is not ready; see [NewReplay]. One goroutine owns it.
type Replay struct {
	seq       events.Seq
	histories []history
	objects   command.Governance
	marked    bool
	were      map[rowsOf][]ReplayedRow // since the mark, of what changed
	governed  command.Governance       // at the mark
}

// ReplayedRow is one row of a view. Key has what the table has as its key, joined by "/"; Row
// has all its columns by name, in the table's order.
type ReplayedRow struct {
	Key string          `json:"key"`
	Row json.RawMessage `json:"row"`
}

// ReplayedChange is a row as it was and as it is; nil: there is none.
type ReplayedChange struct {
	View   string          `json:"view"`
	Key    string          `json:"key"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// rowsOf names the rows of one history in one view.
type rowsOf struct{ view, id string }

// history folds all histories of one kind.
type history struct {
	kind   events.Aggregate
	take   func(ctx context.Context, commits []events.Recorded) error
	ids    func() iter.Seq[string]
	tables []replayTable
}

// replayTable makes the rows that one history has in one table.
type replayTable struct {
	view string
	rows func(id string) ([]ReplayedRow, error)
}

// NewReplay is before the first commit.
func NewReplay() *Replay {
	return &Replay{histories: []history{
		inMemory(events.AggregateRequest, newRequestView(),
			tableOf(requestTable, func(r *Request) []*Request { return []*Request{r} }),
			tableOf(envelopeTable, func(r *Request) (all []*Envelope) {
				for i := range r.Envelopes {
					all = append(all, &r.Envelopes[i])
				}
				return all
			})),
		inMemory(events.AggregateConnection, newConnectionView(), tableOf(connectionTable, itself[Connection])),
		inMemory(events.AggregateAgent, newAgentView(), tableOf(agentTable, itself[Agent])),
		inMemory(events.AggregateJob, newJobView(), tableOf(jobTable, itself[Job])),
		inMemory(events.AggregateUser, newUserView(), tableOf(userTable, itself[User])),
		inMemory(events.AggregateIntegration, newIntegrationView(),
			tableOf(integrationTable, itself[Integration]),
			tableOf(mappingTable, func(i *Integration) []*Mapping { return mappingsOf([]*Integration{i}) })),
	}}
}

// ReplayViews are the names of the views that a [Replay] has.
func ReplayViews() []string {
	var names []string
	for _, h := range NewReplay().histories {
		for _, t := range h.tables {
			names = append(names, t.view)
		}
	}
	return append(names, GovernanceView)
}

// Seq is the last commit that was folded.
func (r *Replay) Seq() events.Seq { return r.seq }

// Fold takes the commits that follow. A gap is [command.ErrLogUnsafe].
func (r *Replay) Fold(ctx context.Context, commits []events.Recorded) error {
	fresh, err := inOrder(commits, r.seq, forever)
	if err != nil || len(fresh) == 0 {
		return err
	}
	kinds := split(fresh)
	for _, h := range r.histories {
		if err := r.remember(h, kinds[h.kind]); err != nil {
			return err
		}
		if err := h.take(ctx, kinds[h.kind]); err != nil {
			return err
		}
	}
	for _, c := range kinds[events.AggregateGovernance] {
		for _, e := range c.Events {
			r.objects = r.objects.Evolve(e)
		}
	}
	r.seq = fresh[len(fresh)-1].Seq
	return nil
}

// Mark says that [Replay.Changes] is to tell what is different from now on.
func (r *Replay) Mark() { r.marked, r.were, r.governed = true, map[rowsOf][]ReplayedRow{}, r.objects }

// remember keeps the rows of histories as they are before they change for the first time.
func (r *Replay) remember(h history, commits []events.Recorded) error {
	if !r.marked {
		return nil
	}
	for _, c := range commits {
		for _, t := range h.tables {
			of := rowsOf{t.view, c.Stream.ID}
			if _, known := r.were[of]; known {
				continue
			}
			rows, err := t.rows(of.id)
			if err != nil {
				return err
			}
			r.were[of] = rows
		}
	}
	return nil
}

// Rows visits the rows of a view in the order of their keys, until visit returns an error.
func (r *Replay) Rows(view string, visit func(ReplayedRow) error) error {
	if view == GovernanceView {
		return each(governanceRows(r.objects), visit)
	}
	for _, h := range r.histories {
		for _, t := range h.tables {
			if t.view != view {
				continue
			}
			for _, id := range slices.Sorted(h.ids()) {
				rows, err := t.rows(id)
				if err == nil {
					err = each(rows, visit)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	return fmt.Errorf("%w: no view %q is folded in memory", ErrNotFound, view)
}

func each[T any](all []T, visit func(T) error) error {
	for _, one := range all {
		if err := visit(one); err != nil {
			return err
		}
	}
	return nil
}

// Changes are the rows of some views that are not as they were at the mark, by view, then by key.
func (r *Replay) Changes(views []string) ([]ReplayedChange, error) {
	var changes []ReplayedChange
	for _, h := range r.histories {
		for _, t := range h.tables {
			for of, before := range r.were {
				if of.view != t.view || !slices.Contains(views, of.view) {
					continue
				}
				after, err := t.rows(of.id)
				if err != nil {
					return nil, err
				}
				changes = append(changes, differences(of.view, before, after)...)
			}
		}
	}
	if r.marked && slices.Contains(views, GovernanceView) {
		changes = append(changes, differences(GovernanceView, governanceRows(r.governed), governanceRows(r.objects))...)
	}
	slices.SortFunc(changes, func(a, b ReplayedChange) int {
		return cmp.Or(cmp.Compare(slices.Index(views, a.View), slices.Index(views, b.View)), strings.Compare(a.Key, b.Key))
	})
	return changes, nil
}

func differences(view string, before, after []ReplayedRow) (changes []ReplayedChange) {
	were, are := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, row := range before {
		were[row.Key] = row.Row
	}
	for _, row := range after {
		are[row.Key] = row.Row
		if string(were[row.Key]) != string(row.Row) {
			changes = append(changes, ReplayedChange{view, row.Key, were[row.Key], row.Row})
		}
	}
	for key, row := range were {
		if are[key] == nil {
			changes = append(changes, ReplayedChange{view, key, row, nil})
		}
	}
	return changes
}

// inMemory has nothing to find: all that there is was folded here.
func inMemory[T any](kind events.Aggregate, v view[T], tables ...func(*view[T]) replayTable) history {
	v.find = func(context.Context, *pgx.Conn, []string) (map[string]*T, error) { return nil, nil }
	h := history{
		kind: kind,
		take: func(ctx context.Context, commits []events.Recorded) error {
			_, err := v.take(ctx, nil, commits)
			return err
		},
		ids: func() iter.Seq[string] { return maps.Keys(v.rows) },
	}
	for _, t := range tables {
		h.tables = append(h.tables, t(&v))
	}
	return h
}

func itself[T any](row *T) []*T { return []*T{row} }

// tableOf makes the rows of a table from one history.
func tableOf[T, R any](t table[R], of func(*T) []*R) func(*view[T]) replayTable {
	return func(v *view[T]) replayTable {
		return replayTable{t.name, func(id string) ([]ReplayedRow, error) {
			row := v.rows[id]
			if row == nil || !v.known(row) {
				return nil, nil // nothing began it
			}
			var rows []ReplayedRow
			for _, r := range of(row) {
				replayed, err := t.replayed(r)
				if err != nil {
					return nil, err
				}
				rows = append(rows, replayed)
			}
			slices.SortFunc(rows, func(a, b ReplayedRow) int { return strings.Compare(a.Key, b.Key) })
			return rows, nil
		}}
	}
}

// replayed is a row as its table has it: the values are those that are written.
func (t table[T]) replayed(row *T) (ReplayedRow, error) {
	object := []byte{'{'}
	keys := make([]string, len(t.key))
	for i, c := range t.columns {
		values, err := c.values([]*T{row})
		if err != nil {
			return ReplayedRow{}, fmt.Errorf("show %s of %s: %w", c.name, t.name, err)
		}
		value, err := shown(values, c.kind)
		if err != nil {
			return ReplayedRow{}, fmt.Errorf("show %s of %s: %w", c.name, t.name, err)
		}
		if at := slices.Index(t.key, c.name); at >= 0 {
			if texts, ok := values.([]string); ok {
				keys[at] = texts[0]
			}
		}
		if i > 0 {
			object = append(object, ',')
		}
		object = append(append(append(object, '"'), c.name...), '"', ':')
		object = append(object, value...)
	}
	return ReplayedRow{strings.Join(keys, "/"), append(object, '}')}, nil
}

// shown is the one value of a column as JSON. Times are in UTC, to the microsecond.
func shown(values any, kind string) ([]byte, error) {
	switch v := values.(type) {
	case []string:
		if kind == "json" || kind == "jsonb" {
			return []byte(v[0]), nil
		}
		return plain(v[0])
	case []time.Time:
		return plain(v[0].UTC().Format(time.RFC3339Nano))
	case []*time.Time:
		if v[0] == nil {
			return []byte("null"), nil
		}
		return plain(v[0].UTC().Format(time.RFC3339Nano))
	case []int64:
		return plain(v[0])
	case []bool:
		return plain(v[0])
	}
	return nil, fmt.Errorf("nobody said how %T is shown", values)
}

// plain encodes without escaping <, > and &, as facts do.
func plain(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// governanceRows are the objects that facts made. Before the first change there are none: what an
// installation begins with is part of the program.
func governanceRows(g command.Governance) []ReplayedRow {
	rows := make([]ReplayedRow, 0, len(g.Objects))
	for ref, o := range g.Objects {
		row, err := plain(o)
		if err != nil {
			panic(err) // it was decoded from JSON: a defect
		}
		rows = append(rows, ReplayedRow{ref.String(), row})
	}
	slices.SortFunc(rows, func(a, b ReplayedRow) int { return strings.Compare(a.Key, b.Key) })
	return rows
}
