package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// search is a filter, ready to be put into statements.
type search struct {
	SecretFilter
	labels      []string              // names, sorted
	connections []events.ConnectionID // nil: all
	nothing     bool                  // no connection is like that
}

// search checks a filter and looks up which connections it means: few, and what they are
// never changes.
func (s Secrets) search(ctx context.Context, filter SecretFilter) (search, error) {
	f := search{SecretFilter: filter, labels: slices.Sorted(maps.Keys(filter.Labels))}
	if filter.Text != "" && utf8.RuneCountInString(filter.Text) < MinText {
		return search{}, ErrShortText
	}
	if filter.Cluster == "" && filter.Provider == "" {
		if filter.Connection != "" {
			f.connections = []events.ConnectionID{filter.Connection}
		}
		return f, nil
	}
	var q query
	if filter.Connection != "" {
		q.and("name = ?", clean(filter.Connection))
	}
	if filter.Cluster != "" {
		q.and("cluster = ?", clean(filter.Cluster))
	}
	if filter.Provider != "" {
		q.and("provider = ?", clean(filter.Provider))
	}
	rows, err := s.Pool.Query(ctx, "SELECT name FROM views.connections WHERE "+strings.Join(q.where, " AND ")+" ORDER BY name", q.args...)
	if err != nil {
		return search{}, fmt.Errorf("look up connections: %w", err)
	}
	if f.connections, err = pgx.CollectRows(rows, pgx.RowTo[events.ConnectionID]); err != nil {
		return search{}, fmt.Errorf("look up connections: %w", err)
	}
	f.nothing = len(f.connections) == 0
	return f, nil
}

// conditions are all that the filter asks of a secret s and its owner o, but for the one
// that a walk by way has seen to.
func (f search) conditions(b *arguments, way wayKind) []string {
	var where []string
	and := func(condition string, arg any) { where = append(where, strings.Replace(condition, "?", b.add(arg), 1)) }
	if len(f.labels) > 0 && (way != byLabel || len(f.labels) > 1) {
		and("s.labels @> ?::text::jsonb", jsonText(cleanLabels(f.Labels)))
	}
	if f.Prefix != "" {
		and("starts_with(s.ref, ?)", clean(f.Prefix))
	}
	if f.connections != nil && way != byConnection {
		and("s.connection = ANY (?)", f.connections)
	}
	if f.Status != "" && (way != byGone || f.Status != SecretGone) {
		and("s.status = ?", string(f.Status))
	}
	if f.Owner != nil {
		and("o.owner = ?", clean(*f.Owner))
	}
	if f.Environment != nil {
		and("o.environment = ?", clean(*f.Environment))
	}
	if !f.OlderThan.IsZero() && way != byRotation {
		and("s.rotated_at < ?", f.OlderThan)
	}
	if f.Text != "" {
		and("strpos(s.words, ?) > 0", strings.ToLower(clean(f.Text)))
	}
	return where
}
