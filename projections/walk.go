package projections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A list walks along one index, in the order of the list, and drops what the filter does
// not want. Keyset and order are those of the index, so page 10,000 costs what the first
// costs. Which index: the one with the fewest entries among those that the filter has a
// condition for.
//
// A filter that wants little of what the walk comes by makes it long. It has stages, each
// longer than the last; after the first, labels that are rare together are looked up in
// the GIN index instead, which has no order but finds them all at once. After the last
// stage the page ends, and the next one goes on from there.
var stages = []int{512, 2_048, 16_384, 65_536}

// ginAfter is the stage after which several labels go by the GIN index. What is so rare is
// quickly sorted, and to intersect 100,000 with 500,000 takes it 17 ms, as long as to look
// at some 1,000 secrets more.
const ginAfter = 0

// wayKind is the index of a walk.
type wayKind int

const (
	byPlace wayKind = iota
	byLabel
	byOwner
	byEnvironment
	byGone

	// Those have orders of their own, in which a connection is not a range.
	byPrefix
	byRotation
	byDrift
)

// way is one walk: a SELECT, w, of the columns of its key and what else its order needs,
// from behind a key on and of one range.
type way struct {
	kind wayKind
	key  string // columns, all bigint
	more string // columns of the result beside the key and the secret
	join string // of w with a secret s
	sort string
	from func(b *arguments, r placeRange, after []int64, limit int) string
}

func limitTo(n int) string { return "LIMIT " + strconv.Itoa(n) }

// placeOrder is a way in the order of places.
func placeOrder(kind wayKind, table, condition string, args ...any) way {
	return way{kind: kind, key: "w.place", join: "s.place = w.place", sort: "w.place", from: func(b *arguments, r placeRange, after []int64, limit int) string {
		where := condition
		for _, arg := range args {
			where = strings.Replace(where, "?", b.add(arg), 1)
		}
		if where != "" {
			where += " AND "
		}
		return "SELECT place FROM " + table + " WHERE " + where + r.after(b, after[0]) + " ORDER BY place " + limitTo(limit)
	}}
}

// everyPlace is the whole inventory.
func everyPlace() way { return placeOrder(byPlace, "views.secrets", "") }

// ways are the walks that a filter allows, beside the whole inventory. Those by label
// have their labels in order.
func (f search) ways() []way {
	var ways []way
	for _, name := range f.labels {
		ways = append(ways, placeOrder(byLabel, "views.secret_labels", "label = ?::uuid", keyOfLabel(clean(name), clean(f.Labels[name]))))
	}
	if f.Owner != nil {
		ways = append(ways, placeOrder(byOwner, "views.secret_owners", "left(owner, 200) = left(?::text, 200)", clean(*f.Owner)))
	}
	if f.Environment != nil {
		ways = append(ways, placeOrder(byEnvironment, "views.secret_owners", "left(environment, 200) = left(?::text, 200)", clean(*f.Environment)))
	}
	if prefixes := f.prefixes(); len(ways) == 0 && prefixes != nil {
		return []way{prefixOrder(prefixes)}
	}
	if f.Status == SecretGone {
		ways = append(ways, placeOrder(byGone, "views.secrets", "status = 'gone'"))
	}
	return ways
}

// after is the condition for places of the range behind one.
func (r placeRange) after(b *arguments, place int64) string {
	return "place > " + b.add(max(place, r.from)) + " AND place <= " + b.add(r.to)
}

// refRunes is how many characters of a ref are indexed.
const refRunes = 200

// prefixOrder walks in the order of refs, or of their first 200 characters, and then of
// places, of those that begin with one of the prefixes. A ref never changes, so the place is
// cursor enough.
func prefixOrder(prefixes []string) way {
	return way{kind: byPrefix, key: "w.place", join: "s.place = w.place", sort: "w.ref, w.place", from: func(b *arguments, r placeRange, after []int64, limit int) string {
		parts := make([]string, len(prefixes))
		for i, prefix := range prefixes {
			parts[i] = refsBelow(b, r, prefix, after[0], limit)
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return "SELECT place, ref FROM ((" + strings.Join(parts, ") UNION ALL (") + ")) parts ORDER BY ref, place " + limitTo(limit)
	}}
}

func refsBelow(b *arguments, r placeRange, prefix string, after int64, limit int) string {
	where := r.after(b, 0) + " AND left(ref, 200) >= left(" + b.add(prefix) + "::text, 200)"
	if end := afterPrefix(firstRunes(prefix, refRunes)); end != "" {
		where += " AND left(ref, 200) < " + b.add(end)
	}
	if after != 0 {
		p := b.add(after)
		where += " AND (left(ref, 200), place) > ((SELECT left(ref, 200) FROM views.secrets WHERE place = " + p + "), " + p + ")"
	}
	return "SELECT place, left(ref, 200) AS ref FROM views.secrets WHERE " + where + " ORDER BY left(ref, 200), place " + limitTo(limit)
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// afterPrefix is the first text after all that begin with a prefix, in the order of
// bytes; empty if there is none.
func afterPrefix(prefix string) string {
	runes := []rune(prefix)
	for len(runes) > 0 {
		last := len(runes) - 1
		switch runes[last] {
		case 0x10FFFF:
			runes = runes[:last]
			continue
		case 0xD7FF:
			runes[last] = 0xE000 // no surrogates
		default:
			runes[last]++
		}
		return string(runes)
	}
	return ""
}

// estimateBound is up to where the lengths of walks are told apart.
const estimateBound = 2_000

// choose takes the shortest way. Labels are counted, the others are counted out as far
// as it matters.
func (s Secrets) choose(ctx context.Context, f search) (way, error) {
	ways := f.ways()
	switch len(ways) {
	case 0:
		return everyPlace(), nil
	case 1:
		return ways[0], nil
	}
	batch := &pgx.Batch{}
	labels := 0
	for _, w := range ways {
		var b arguments
		if w.kind == byLabel {
			name := f.labels[labels]
			labels++
			where := []string{"label = " + b.add(keyOfLabel(clean(name), clean(f.Labels[name])))}
			if f.connections != nil {
				where = append(where, "connection = ANY ("+b.add(f.connections)+")")
			}
			batch.Queue("SELECT coalesce(sum(n), 0)::bigint FROM views.label_counts"+whereAll(where), b.args...)
			continue
		}
		batch.Queue("SELECT count(*) FROM ("+w.from(&b, f.ranges[0], []int64{0}, estimateBound)+") w", b.args...)
	}
	results := s.Pool.SendBatch(ctx, batch)
	defer results.Close()
	best, fewest := ways[0], int64(-1)
	for _, w := range ways {
		var n int64
		if err := results.QueryRow().Scan(&n); err != nil {
			return way{}, fmt.Errorf("choose an index: %w", err)
		}
		// Counted out, and so perhaps much more.
		if n == estimateBound && w.kind != byLabel {
			n = 1 << 40
		}
		if fewest < 0 || n < fewest {
			best, fewest = w, n
		}
	}
	return best, nil
}

// walked is a row of a walk.
type walked interface{ at() []int64 }

// walkRanges returns up to limit rows of T, which has the columns of a secret and of the
// way, from behind a key on. Next is the key to go on from, or nil at the end.
func walkRanges[T walked](ctx context.Context, pool *pgxpool.Pool, f search, w way, after []int64, limit int) (found []T, next []int64, err error) {
	ranges := f.walked(w)
	left := 4 * stages[len(stages)-1]
	for i, r := range ranges {
		if w.kind < byPrefix && r.to <= after[0] {
			continue
		}
		rows, next, err := walkRange[T](ctx, pool, f, w, r, after, limit-len(found), &left)
		if found = append(found, rows...); err != nil || next != nil {
			return found, next, err
		}
		if len(found) == limit && i < len(ranges)-1 {
			return found, []int64{r.to}, nil
		}
	}
	return found, nil, nil
}

// walked are the ranges that a way goes through: one if it has an order of its own.
func (f search) walked(w way) []placeRange {
	if w.kind >= byPrefix && len(f.ranges) > 1 {
		return everywhere
	}
	return f.ranges
}

// walkRange is one of them. It takes what it looks at from left.
func walkRange[T walked](ctx context.Context, pool *pgxpool.Pool, f search, w way, r placeRange, after []int64, limit int, left *int) (found []T, next []int64, err error) {
	full := func(rows []T) bool {
		if found = append(found, rows...); len(found) <= limit {
			return false
		}
		found = found[:limit]
		next = found[limit-1].at()
		return true
	}
	for i, stage := range stages {
		*left -= stage
		rows, end, err := walkStage[T](ctx, pool, f, w, r, after, stage, limit-len(found)+1)
		if err != nil || full(rows) || end == nil {
			return found, next, err
		}
		after = end
		if *left < 0 {
			break
		}
		if i == ginAfter && len(f.labels) > 1 && w.sort == "w.place" {
			rows, err := lookUp[T](ctx, pool, f, w, r, after, limit-len(found)+1)
			if err == nil {
				full(rows)
			}
			return found, next, err
		}
	}
	return found, after, nil
}

// walkStage returns up to limit rows that the filter wants among the next stage entries of
// an index, and the key of the last entry, or nil if there are fewer.
func walkStage[T walked](ctx context.Context, pool *pgxpool.Pool, f search, w way, r placeRange, after []int64, stage, limit int) (found []T, end []int64, err error) {
	var b, e arguments
	where := f.conditions(&b, w.kind)
	if len(where) == 0 {
		stage = limit // everything that it comes by is wanted
	}
	rows := selectSecrets + ", " + w.key + w.more + fromSecrets + `
		JOIN   (` + w.from(&b, r, after, stage) + ") w ON " + w.join + whereAll(where) + `
		ORDER  BY ` + w.sort + " " + limitTo(limit)
	if len(where) == 0 {
		found, err = fetch[T](ctx, pool, rows, b.args...)
		return found, nil, err
	}
	// Both see the same moment, or the entries between two ends would be lost. The four
	// travel together.
	batch := &pgx.Batch{}
	batch.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	batch.Queue(rows, b.args...).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	})
	batch.Queue("SELECT ARRAY["+w.key+"] FROM ("+w.from(&e, r, after, stage)+") w ORDER BY "+w.sort+" OFFSET "+strconv.Itoa(stage-1), e.args...).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&end); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	batch.Queue("COMMIT")
	err = pool.SendBatch(ctx, batch).Close()
	return found, end, err
}

// lookUp finds by the GIN index all that have the labels, and then narrows and sorts them:
// in one condition, the server would also walk or make a bitmap of all places.
func lookUp[T walked](ctx context.Context, pool *pgxpool.Pool, f search, w way, r placeRange, after []int64, limit int) ([]T, error) {
	var b arguments
	found := `
		WITH labelled AS MATERIALIZED (
			SELECT place
			FROM   views.secrets
			WHERE  labels @> ` + b.add(jsonText(cleanLabels(f.Labels))) + `::text::jsonb
		)`
	behind := r.after(&b, after[0])
	f.labels = nil
	where := f.conditions(&b, byPlace)
	return fetch[T](ctx, pool, found+selectSecrets+", "+w.key+fromSecrets+`
		JOIN   (SELECT place FROM labelled WHERE `+behind+`) w ON w.place = s.place`+whereAll(where)+`
		ORDER  BY w.place `+limitTo(limit), b.args...)
}

func whereAll(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return "\n\t\tWHERE  " + strings.Join(conditions, "\n\t\tAND    ")
}
