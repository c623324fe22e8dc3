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

// All events are counted while the log has auditCounted commits at most, in any order, which two
// processors do at once. Beyond, it is so many of the newest events that the filter wants; and
// where it asks what no index serves, auditLooked are looked at.
const (
	auditCounted = 1_000_000
	auditLooked  = 20_000
)

// maxAuditFacets is how many values a facet has at most.
const maxAuditFacets = 50

// AuditFacet is what events are counted by.
type AuditFacet string

const (
	ByActor     AuditFacet = "actor"
	ByType      AuditFacet = "type"
	ByAggregate AuditFacet = "aggregate"
	ByOutcome   AuditFacet = "outcome"
)

// AuditFacets are all there are.
var AuditFacets = []AuditFacet{ByActor, ByType, ByAggregate, ByOutcome}

// AuditCounts are the 50 most frequent values of a facet, the most frequent first and equally
// frequent ones in the order of their bytes. If they are not exact, only the newest events were
// counted.
type AuditCounts struct {
	Values []Facet
	Total  int // of all values
	Exact  bool
}

// Count counts events by a facet. Cursor and Limit of the filter play no part.
// Errors: [ErrShortText].
func (a Audit) Count(ctx context.Context, filter AuditFilter, by AuditFacet) (AuditCounts, error) {
	column := map[AuditFacet]string{ByActor: "e.actor", ByAggregate: "split_part(e.stream, '/', 1)", ByType: "e.type", ByOutcome: "''"}[by]
	groups, all, err := a.group(ctx, filter, column)
	if err != nil {
		return AuditCounts{}, fmt.Errorf("count the audit by %s: %w", by, err)
	}
	counts := AuditCounts{Values: []Facet{}, Total: all.n, Exact: all.exact}
	if by == ByOutcome {
		groups = nil
		for _, g := range []auditGroup{{value: string(events.OutcomeDone), n: all.n - all.denied}, {value: string(events.OutcomeDenied), n: all.denied}} {
			if g.n > 0 {
				groups = append(groups, g)
			}
		}
	}
	for _, g := range groups[:min(len(groups), maxAuditFacets)] {
		counts.Values = append(counts.Values, Facet{g.value, g.n})
	}
	return counts, nil
}

// auditGroup is how many events have a value.
type auditGroup struct {
	value     string
	n, denied int
	exact     bool // of all groups together
}

// group counts events by an expression over e, in which "?" stands for an argument. It returns the
// most frequent values, and all of them together.
func (a Audit) group(ctx context.Context, filter AuditFilter, value string, args ...any) (groups []auditGroup, all auditGroup, err error) {
	s, err := filter.search("")
	if err != nil {
		return nil, all, err
	}
	from, exact, err := a.counted(ctx, s)
	if err != nil {
		return nil, all, err
	}
	b := arguments{s.args}
	for _, arg := range args {
		value = strings.Replace(value, "?", b.add(arg), 1)
	}
	denied := b.add(events.TypesOf(events.OutcomeDenied))
	rows, err := a.Pool.Query(ctx, "WITH e AS ("+from+`),
		g AS MATERIALIZED (
			SELECT `+value+` AS value,
			       count(*) AS n,
			       count(*) FILTER (WHERE e.type = ANY (`+denied+`)) AS denied
			FROM   e`+s.commits()+whereAll(s.late)+`
			GROUP  BY 1
		)
		SELECT NULL,
		       coalesce(sum(n), 0)::bigint,
		       coalesce(sum(denied), 0)::bigint,
		       `+exact+`
		FROM   g
		UNION  ALL (
			SELECT value,
			       n,
			       denied,
			       true
			FROM   g
			ORDER  BY n DESC, value COLLATE "C"
			LIMIT  `+strconv.Itoa(max(maxAuditFacets, maxBuckets))+`
		)`, append([]any{planned}, b.args...)...)
	if err != nil {
		return nil, all, err
	}
	var of *string
	var g auditGroup
	_, err = pgx.ForEachRow(rows, []any{&of, &g.n, &g.denied, &g.exact}, func() error {
		if of == nil {
			all = g
			return nil
		}
		g.value = *of
		groups = append(groups, g)
		return nil
	})
	slices.SortFunc(groups, func(a, b auditGroup) int { return cmp.Or(b.n-a.n, strings.Compare(a.value, b.value)) })
	return groups, all, err
}

// counted selects what is counted, and says how to tell whether that is all.
func (a Audit) counted(ctx context.Context, s auditSearch) (from, exact string, err error) {
	if len(s.late) > 0 {
		return s.text(selectAudit, newestFirst.by, auditLooked), "(SELECT count(*) FROM e) < " + strconv.Itoa(auditLooked), nil
	}
	var last int64
	err = a.Pool.QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM audit.events").Scan(&last)
	if last <= auditCounted {
		return selectAudit + whereAll(s.where), "true", err
	}
	return s.text(selectAudit, newestFirst.by, auditCounted), "coalesce(sum(n), 0) < " + strconv.Itoa(auditCounted), err
}
