package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// Count is how many secrets there are. If it is not exact there are more.
type Count struct {
	N     int  `json:"n"`
	Exact bool `json:"exact"`
}

// countBound is up to where secrets are counted out, and countExamined how many are looked
// at for it.
const (
	countBound    = 10_000
	countExamined = 25_000
)

// Count counts secrets. By connection, cluster, provider and status, and of present ones
// also by one label, counters answer. Anything else is counted out as far as 10,000, or
// until 25,000 were looked at.
func (s Secrets) Count(ctx context.Context, filter SecretFilter) (Count, error) {
	count, err := s.count(ctx, filter)
	if err != nil {
		return Count{}, fmt.Errorf("count secrets: %w", err)
	}
	return count, nil
}

func (s Secrets) count(ctx context.Context, filter SecretFilter) (Count, error) {
	f, err := s.search(ctx, filter)
	if err != nil || f.nothing {
		return Count{Exact: true}, err
	}
	if f.counted() {
		return s.counter(ctx, f)
	}
	w, err := s.choose(ctx, f)
	if err != nil {
		return Count{}, err
	}
	total := Count{Exact: true}
	examined := 0
	for _, r := range f.walked(w) {
		n, met, err := s.countOut(ctx, f, w, r, countBound+1-total.N, countExamined-examined)
		if err != nil {
			return Count{}, err
		}
		total.N, examined = total.N+n, examined+met
		if total.N > countBound || examined >= countExamined {
			return Count{N: min(total.N, countBound)}, nil
		}
	}
	return total, nil
}

// countOut counts up to limit secrets in one range, and how many it looked at.
func (s Secrets) countOut(ctx context.Context, f search, w way, r placeRange, limit, bound int) (n, examined int, err error) {
	var b arguments
	where := f.conditions(&b, w.kind)
	err = s.Pool.QueryRow(ctx, `
		WITH w AS MATERIALIZED (`+w.from(&b, r, []int64{0}, bound)+`)
		SELECT (
			SELECT count(*)
			FROM   (
				SELECT
				FROM   w
				JOIN   views.secrets s ON `+w.join+`
				JOIN   views.secret_owners o ON o.place = s.place`+whereAll(where)+`
				LIMIT  `+strconv.Itoa(limit)+`
			) wanted
		), (SELECT count(*) FROM w)`, b.args...).Scan(&n, &examined)
	return n, examined, err
}

// counted reports whether there is a counter for all that the filter asks.
func (f search) counted() bool {
	return f.bounds == nil && len(f.labels) < 2 && (len(f.labels) == 0 || f.Status == SecretPresent) &&
		f.Prefix == "" && f.Owner == nil && f.Environment == nil && f.OlderThan.IsZero() && f.Text == ""
}

func (s Secrets) counter(ctx context.Context, f search) (Count, error) {
	var b arguments
	var where []string
	table := "views.secret_counts"
	switch {
	case len(f.labels) == 1:
		table = "views.label_counts"
		where = append(where, "label = "+b.add(keyOfLabel(clean(f.labels[0]), clean(f.Labels[f.labels[0]]))))
	case f.Status != "":
		where = append(where, "status = "+b.add(string(f.Status)))
	}
	if f.connections != nil {
		where = append(where, "connection = ANY ("+b.add(f.connections)+")")
	}
	var n int
	err := s.Pool.QueryRow(ctx, "SELECT coalesce(sum(n), 0)::bigint FROM "+table+whereAll(where), b.args...).Scan(&n)
	return Count{n, err == nil}, err
}

// FacetFilter asks for the values of a label, or, without a name, for the names of
// labels. Zero fields do not narrow.
type FacetFilter struct {
	Name       string
	Connection events.ConnectionID
	Cluster    events.ClusterID
	Provider   events.ProviderKind
	Within     Within
	Limit      int // at most [MaxLimit]
}

// Facet is a name or a value of labels and how many present secrets have it.
type Facet struct {
	Value string `json:"value"`
	N     int    `json:"n"`
}

// exactFacets is up to how many counters are added up. Beyond that the most frequent of
// each connection are candidates, and only they are added up: a value that is frequent
// in all connections together and among the first in none of them is left out.
const exactFacets = 10_000

// Facets returns names or values, the most frequent first and of equally frequent ones
// in the order of their bytes, from counters. Those count by connection; within parts of
// connections labels are counted out, of the first 25,000 secrets that are looked at.
func (s Secrets) Facets(ctx context.Context, filter FacetFilter) ([]Facet, error) {
	facets, err := s.facets(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("count labels: %w", err)
	}
	return facets, nil
}

func (s Secrets) facets(ctx context.Context, filter FacetFilter) ([]Facet, error) {
	f, err := s.search(ctx, SecretFilter{Connection: filter.Connection, Cluster: filter.Cluster, Provider: filter.Provider, Within: filter.Within})
	if err != nil || f.nothing {
		return []Facet{}, err
	}
	if f.bounds != nil {
		f.Status = SecretPresent
		return s.facetsOut(ctx, f, clean(filter.Name), limited(filter.Limit))
	}
	column, parent := "name", labelKey{}
	if filter.Name != "" {
		column, parent = "value", keyOfName(clean(filter.Name))
	}
	if f.connections == nil {
		rows, err := s.Pool.Query(ctx, "SELECT DISTINCT connection FROM views.secret_counts")
		if err != nil {
			return nil, err
		}
		if f.connections, err = pgx.CollectRows(rows, pgx.RowTo[events.ConnectionID]); err != nil {
			return nil, err
		}
		slices.Sort(f.connections)
	}
	var many bool
	err = s.Pool.QueryRow(ctx, `
		SELECT count(*) > $3
		FROM   (
			SELECT
			FROM   views.label_counts
			WHERE  connection = ANY ($1)
			AND    parent = $2
			LIMIT  $3 + 1
		) counters`, f.connections, parent, exactFacets).Scan(&many)
	if err != nil {
		return nil, err
	}
	limit := limited(filter.Limit)
	from := "views.label_counts l"
	if many {
		from = `(
			SELECT DISTINCT first.label
			FROM   unnest($1::text[]) AS c (name)
			CROSS  JOIN LATERAL (
				SELECT label
				FROM   views.label_counts
				WHERE  connection = c.name
				AND    parent = $2
				ORDER  BY n DESC
				LIMIT  ` + strconv.Itoa(limit) + `
			) first
		) candidates
		JOIN   views.label_counts l USING (label)`
	}
	found, err := fetch[Facet](ctx, s.Pool, `
		SELECT min(l.`+column+`) AS value,
		       sum(l.n)::bigint AS n
		FROM   `+from+`
		WHERE  l.connection = ANY ($1)
		AND    l.parent = $2
		GROUP  BY l.label
		ORDER  BY 2 DESC, 1
		LIMIT  `+strconv.Itoa(limit), f.connections, parent)
	if err != nil {
		return nil, err
	}
	return append([]Facet{}, found...), nil
}

// facetsOut counts labels out.
func (s Secrets) facetsOut(ctx context.Context, f search, name string, limit int) ([]Facet, error) {
	w, err := s.choose(ctx, f)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	left := countExamined
	for _, r := range f.walked(w) {
		var b arguments
		from := w.from(&b, r, []int64{0}, left)
		labels := "jsonb_object_keys(s.labels) AS l (label)"
		if name != "" {
			labels = "(SELECT s.labels ->> " + b.add(name) + "::text AS label) l"
		}
		var value *string
		var n, examined int
		rows, err := s.Pool.Query(ctx, `
			WITH w AS MATERIALIZED (`+from+`)
			SELECT label,
			       count(*),
			       (SELECT count(*) FROM w)
			FROM   w
			JOIN   views.secrets s ON `+w.join+`
			JOIN   views.secret_owners o ON o.place = s.place
			CROSS  JOIN LATERAL `+labels+whereAll(f.conditions(&b, w.kind))+`
			GROUP  BY label`, b.args...)
		if err != nil {
			return nil, err
		}
		_, err = pgx.ForEachRow(rows, []any{&value, &n, &examined}, func() error {
			if value != nil {
				counts[*value] += n
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if left -= examined; left <= 0 {
			break
		}
	}
	found := make([]Facet, 0, len(counts))
	for value, n := range counts {
		found = append(found, Facet{value, n})
	}
	slices.SortFunc(found, func(a, b Facet) int { return cmp.Or(b.N-a.N, strings.Compare(a.Value, b.Value)) })
	return found[:min(len(found), limit)], nil
}
