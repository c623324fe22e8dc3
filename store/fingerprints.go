package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Counting returns all fingerprints that count.
func (s Scans) Counting(ctx context.Context) ([]inventory.Print, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT secret, ref, version, key_id, print
		FROM   private.fingerprints
		WHERE  counts
		ORDER  BY secret, print`)
	if err != nil {
		return nil, fmt.Errorf("list fingerprints: %w", err)
	}
	prints, err := pgx.CollectRows(rows, pgx.RowToStructByPos[inventory.Print])
	if err != nil {
		return nil, fmt.Errorf("list fingerprints: %w", err)
	}
	return prints, nil
}

// ErrNoGroup says that a place is that of no group, or not any more.
var ErrNoGroup = errors.New("there is no such group of fingerprints")

// Twins are secrets that share a value.
type Twins struct {
	Group   string // names the value here: a keyed fingerprint and which key made it
	Secrets []Twin // at least two, by connection and ref, and no more than asked for
	Total   int    // how many there are
}

// Twin is one of them.
type Twin struct {
	Secret     events.SecretID
	Connection events.ConnectionID
	Ref        string
	Version    string    // when its fingerprint was made; empty: the provider told none
	Made       time.Time // the fingerprint
}

// inBounds narrows to secrets that lie within areas: a connection, a separator and a ref, as text,
// have an odd number of bounds up to them (package projections, Within). NULL is everywhere.
const inBounds = `(%[1]s::text[] IS NULL OR width_bucket((connection || chr(1) || ref) COLLATE "C", %[1]s::text[]) %% 2 = 1)`

// Duplicates returns values that several secrets share, within bounds, in the order of
// their groups, after one. Of each at most most secrets are told, and no more are held: one value may be in all
// of them. Fingerprints of different keys never meet.
func (s Scans) Duplicates(ctx context.Context, bounds []string, after string, limit, most int) ([]Twins, error) {
	within := fmt.Sprintf(inBounds, "$4")
	rows, err := s.Pool.Query(ctx, `
		SELECT g.key_id || '-' || g.print,
		       g.total,
		       array_agg(f.secret ORDER BY f.connection, f.ref),
		       array_agg(f.connection ORDER BY f.connection, f.ref),
		       array_agg(f.ref ORDER BY f.connection, f.ref),
		       array_agg(f.version ORDER BY f.connection, f.ref),
		       array_agg(f.made_at ORDER BY f.connection, f.ref)
		FROM   (
			SELECT   key_id,
			         print,
			         count(*) AS total
			FROM     private.fingerprints
			WHERE    counts
			AND      (key_id, print) > (split_part($1, '-', 1), split_part($1, '-', 2))
			AND      `+within+`
			GROUP BY key_id, print
			HAVING   count(*) > 1
			ORDER BY key_id, print
			LIMIT    $2
		) g
		CROSS  JOIN LATERAL (
			SELECT   secret,
			         connection,
			         ref,
			         version,
			         made_at
			FROM     private.fingerprints
			WHERE    counts
			AND      key_id = g.key_id
			AND      print = g.print
			AND      `+within+`
			ORDER BY connection, ref
			LIMIT    $3
		) f
		GROUP  BY g.key_id, g.print, g.total
		ORDER  BY g.key_id, g.print`, after, limit, most, bounds)
	if err != nil {
		return nil, fmt.Errorf("list duplicates: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Twins, error) {
		var t Twins
		var secrets, connections, refs, versions []string
		var made []time.Time
		if err := row.Scan(&t.Group, &t.Total, &secrets, &connections, &refs, &versions, &made); err != nil {
			return t, err
		}
		for i := range secrets {
			t.Secrets = append(t.Secrets, Twin{
				events.SecretID(secrets[i]), events.ConnectionID(connections[i]), refs[i], versions[i], made[i].UTC(),
			})
		}
		return t, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list duplicates: %w", err)
	}
	return found, nil
}

// Covered is what a connection has of fingerprints that count, of one key.
type Covered struct {
	Connection events.ConnectionID
	KeyID      string
	Secrets    int       // that have one
	Made       time.Time // the newest of them
}

// Coverage returns it for all connections, by name. One without fingerprints is not there.
func (s Scans) Coverage(ctx context.Context) ([]Covered, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT   connection,
		         key_id,
		         count(DISTINCT secret),
		         max(made_at)
		FROM     private.fingerprints
		WHERE    counts
		GROUP BY connection, key_id
		ORDER BY connection, key_id`)
	if err != nil {
		return nil, fmt.Errorf("say what has fingerprints: %w", err)
	}
	covered, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Covered])
	if err != nil {
		return nil, fmt.Errorf("say what has fingerprints: %w", err)
	}
	return covered, nil
}

// PlaceOf names a group without its fingerprint, for who must not see that: a job, a secret
// within bounds, and which of its fingerprints it is.
func (s Scans) PlaceOf(ctx context.Context, group string, bounds []string) (string, error) {
	var place string
	err := s.Pool.QueryRow(ctx, `
		SELECT f.job || '.' || f.secret || '.' || (
			SELECT count(*)
			FROM   private.fingerprints p
			WHERE  p.job = f.job
			AND    p.secret = f.secret
			AND    (p.key_id, p.print) < (f.key_id, f.print)
		)
		FROM   private.fingerprints f
		WHERE  f.counts
		AND    f.key_id = split_part($1, '-', 1)
		AND    f.print = split_part($1, '-', 2)
		AND    `+fmt.Sprintf(inBounds, "$2")+`
		ORDER  BY f.secret
		LIMIT  1`, group, bounds).Scan(&place)
	if err != nil {
		return "", fmt.Errorf("say where a group of fingerprints is: %w", noGroup(err))
	}
	return place, nil
}

// GroupAt returns the group at a place, or [ErrNoGroup]: the next job of a connection takes
// the places of the one before with it.
func (s Scans) GroupAt(ctx context.Context, place string, bounds []string) (string, error) {
	parts := strings.Split(place, ".")
	if len(parts) != 3 {
		return "", ErrNoGroup
	}
	n, err := strconv.ParseUint(parts[2], 10, 31)
	if err != nil {
		return "", ErrNoGroup
	}
	var group string
	err = s.Pool.QueryRow(ctx, `
		SELECT key_id || '-' || print
		FROM   private.fingerprints
		WHERE  job = $1
		AND    secret = $2
		AND    counts
		AND    `+fmt.Sprintf(inBounds, "$4")+`
		ORDER  BY key_id, print
		OFFSET $3
		LIMIT  1`, parts[0], parts[1], n, bounds).Scan(&group)
	if err != nil {
		return "", fmt.Errorf("look for a group of fingerprints: %w", noGroup(err))
	}
	return group, nil
}

func noGroup(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoGroup
	}
	return err
}
