package projections

import (
	"context"
	"encoding/json"
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
	ranges      []placeRange          // of the connections, in order; one that is everything if all
	bounds      []string              // of the areas, see [Within]; nil if the connections say it all
	nothing     bool                  // no scanned connection is like that
}

// placeRange is some connections, side by side: after from, and up to to.
type placeRange struct{ from, to int64 }

var everywhere = []placeRange{{0, 1<<63 - 1}}

// search checks a filter and looks up which connections it means: few, and what they are
// never changes.
func (s Secrets) search(ctx context.Context, filter SecretFilter) (search, error) {
	f := search{SecretFilter: filter, labels: slices.Sorted(maps.Keys(filter.Labels)), ranges: everywhere}
	if filter.Text != "" && utf8.RuneCountInString(filter.Text) < MinText {
		return search{}, ErrShortText
	}
	var q query
	if filter.Connection != "" {
		q.and("n.connection = ?", clean(filter.Connection))
	}
	if filter.Cluster != "" {
		q.and("c.cluster = ?", clean(filter.Cluster))
	}
	if filter.Provider != "" {
		q.and("c.provider = ?", clean(filter.Provider))
	}
	if filter.Within != nil {
		q.and("n.connection = ANY (?)", filter.Within.connections())
		if !filter.Within.whole() {
			f.bounds = filter.Within.bounds()
		}
	}
	if len(q.where) == 0 {
		return f, nil
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT n.connection,
		       n.number
		FROM   views.scanned_connections n
		LEFT   JOIN views.connections c ON c.name = n.connection`+whereAll(q.where)+`
		ORDER  BY n.number`, q.args...)
	if err != nil {
		return search{}, fmt.Errorf("look up connections: %w", err)
	}
	f.ranges = nil
	var name events.ConnectionID
	var number int64
	_, err = pgx.ForEachRow(rows, []any{&name, &number}, func() error {
		f.connections = append(f.connections, name)
		f.addRange(min(number, lastNumber))
		return nil
	})
	if err != nil {
		return search{}, fmt.Errorf("look up connections: %w", err)
	}
	f.nothing = len(f.connections) == 0
	return f, nil
}

// addRange adds the next connection. Places of the last number end with the numbers.
func (f *search) addRange(number int64) {
	next := placeRange{firstPlace(number), 1<<63 - 1}
	if number < lastNumber {
		next.to = firstPlace(number + 1)
	}
	if last := len(f.ranges) - 1; last >= 0 && f.ranges[last].to >= next.from {
		f.ranges[last].to = next.to
		return
	}
	f.ranges = append(f.ranges, next)
}

// shared reports whether the ranges may hold other connections, too.
func (f search) shared() bool {
	return len(f.ranges) > 0 && f.connections != nil && f.ranges[len(f.ranges)-1].to == 1<<63-1
}

// conditions are all that the filter asks of a secret s and its owner o, but for the one
// that a walk by way has seen to.
func (f search) conditions(b *arguments, way wayKind) []string {
	var where []string
	and := func(condition string, arg any) { where = append(where, strings.Replace(condition, "?", b.add(arg), 1)) }
	if len(f.labels) > 0 && (way != byLabel || len(f.labels) > 1) {
		and("s.labels @> ?::text::jsonb", jsonText(cleanLabels(f.Labels)))
	}
	if f.Prefix != "" && (way != byPrefix || utf8.RuneCountInString(f.Prefix) > refRunes) {
		and("starts_with(s.ref, ?)", clean(f.Prefix))
	}
	if f.connections != nil && (f.shared() || way == byDrift || len(f.ranges) > 1 && way >= byPrefix) {
		and("s.connection = ANY (?)", f.connections)
	}
	if f.bounds != nil {
		where = append(where, inBounds("s.connection", "s.ref", b.add(f.bounds)))
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

// jsonText is a map as JSON, which cannot fail.
func jsonText(m map[string]string) string {
	b, _ := json.Marshal(m)
	return string(b)
}
