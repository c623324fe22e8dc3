package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Secrets answers from the inventory. LastSeenAt of a present secret is the later of its
// own last fact and the beginning of the last scan that met all of its connection: that
// one met it, and there is no fact for what did not change.
type Secrets struct{ Pool *pgxpool.Pool }

// ErrShortText says that a search is for fewer than [MinText] characters.
var ErrShortText = errors.New("search for at least 3 characters")

// MinText is how many characters a search for a text has at least.
const MinText = 3

// SecretFilter narrows a list. Zero fields do not; together they all must hold.
type SecretFilter struct {
	Labels      map[string]string // all of them, exactly
	Prefix      string            // of the ref
	Provider    events.ProviderKind
	Cluster     events.ClusterID
	Connection  events.ConnectionID
	Status      SecretStatus
	Owner       *string   // "": nobody
	Environment *string   // "": none
	OlderThan   time.Time // rotated before that; not those of which nobody knows
	Within      Within
	Text        string // in the ref or in the value of a label, in upper or lower case
	Cursor      string
	Limit       int // at most [MaxLimit]
}

// selectSecrets reads what a walk, w, comes by.
const selectSecrets = `
	SELECT s.id,
	       s.connection,
	       coalesce(c.cluster, '') AS cluster,
	       coalesce(c.provider, '') AS provider,
	       s.ref,
	       s.labels,
	       s.version,
	       s.created_at,
	       s.updated_at,
	       s.rotated_at,
	       s.first_seen_at,
	       CASE WHEN s.status = 'present' THEN greatest(s.seen_at, n.complete_at) ELSE s.seen_at END AS last_seen_at,
	       s.status,
	       s.gone_at,
	       o.owner,
	       o.owner_from,
	       o.environment,
	       o.environment_from,
	       s.seq,
	       s.last_seq`

const fromSecrets = `
	FROM   views.secrets s
	JOIN   views.secret_owners o ON o.place = s.place
	LEFT   JOIN views.connections c ON c.name = s.connection
	LEFT   JOIN views.scanned_connections n ON n.connection = s.connection`

// placedSecret is a secret with its place in the list.
type placedSecret struct {
	Secret
	Place int64 `db:"place"`
}

func (s placedSecret) at() []int64 { return []int64{s.Place} }

// List returns secrets by connection, in the order in which scans first met them, or, if
// the filter has a prefix and no labels, owner or environment, in the order of their
// refs. Pages walk everything once while secrets are added, change and go.
//
// A page looks at so many secrets at most (see walk.go), so it can be shorter than its
// limit, or empty, and still have a next one. Errors: [ErrCursor], [ErrShortText].
func (s Secrets) List(ctx context.Context, filter SecretFilter) (Page[Secret], error) {
	page, err := s.list(ctx, filter)
	if err != nil {
		return Page[Secret]{}, fmt.Errorf("list secrets: %w", err)
	}
	return page, nil
}

func (s Secrets) list(ctx context.Context, filter SecretFilter) (Page[Secret], error) {
	after := int64(0)
	if filter.Cursor != "" {
		at, err := parseCursor(filter.Cursor, 1)
		if err != nil {
			return Page[Secret]{}, fmt.Errorf("read cursor: %w", err)
		}
		after = at[0]
	}
	search, err := s.search(ctx, filter)
	if err != nil || search.nothing {
		return Page[Secret]{Items: []Secret{}}, err
	}
	w, err := s.choose(ctx, search)
	if err != nil {
		return Page[Secret]{}, err
	}
	limit := limited(filter.Limit)
	found, next, err := walkRanges[placedSecret](ctx, s.Pool, search, w, []int64{after}, limit)
	if err != nil {
		return Page[Secret]{}, err
	}
	page := Page[Secret]{Items: make([]Secret, len(found))}
	for i := range found {
		found[i].inUTC()
		page.Items[i] = found[i].Secret
	}
	if next != nil {
		page.Next = cursor(uint64(next[0]))
	}
	return page, nil
}

// Get returns one secret, or [ErrNotFound].
func (s Secrets) Get(ctx context.Context, id events.SecretID) (Secret, error) {
	secret, err := fetchOne[Secret](ctx, s.Pool, selectSecrets+fromSecrets+" WHERE s.id = $1", id)
	if err != nil {
		return Secret{}, fmt.Errorf("load secret %q: %w", id, err)
	}
	secret.inUTC()
	return secret, nil
}

// Standing is what is known of whether a secret is there.
type Standing struct {
	ID         events.SecretID
	Status     SecretStatus
	Version    string    // empty: the provider lists none
	LastSeenAt time.Time // see [Secrets]
}

// Standings returns those of the secrets that scans have met, whether they are there or not.
func (s Secrets) Standings(ctx context.Context, ids []events.SecretID) (map[events.SecretID]Standing, error) {
	rows, err := fetch[Standing](ctx, s.Pool, `
		SELECT s.id,
		       s.status,
		       s.version,
		       CASE WHEN s.status = 'present' THEN greatest(s.seen_at, n.complete_at) ELSE s.seen_at END AS last_seen_at
		FROM   views.secrets s
		LEFT   JOIN views.scanned_connections n ON n.connection = s.connection
		WHERE  s.id = ANY ($1)`, planned, ids)
	if err != nil {
		return nil, fmt.Errorf("look up %d secrets: %w", len(ids), err)
	}
	found := make(map[events.SecretID]Standing, len(rows))
	for _, r := range rows {
		r.LastSeenAt = r.LastSeenAt.UTC()
		found[r.ID] = r
	}
	return found, nil
}

// SecretName is a secret by its names.
type SecretName struct {
	ID  events.SecretID
	Ref string
}

// PresentAfter returns present secrets of a connection whose id is greater, in the order
// of the bytes of their ids: "", then the last one returned, until there is none.
func (s Secrets) PresentAfter(ctx context.Context, connection events.ConnectionID, after events.SecretID, limit int) ([]SecretName, error) {
	found, err := fetch[SecretName](ctx, s.Pool, `
		SELECT id,
		       ref
		FROM   views.secrets
		WHERE  connection = $1
		AND    status = 'present'
		AND    id > $2
		ORDER  BY id
		LIMIT  $3`, planned, connection, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the secrets of connection %q: %w", connection, err)
	}
	return found, nil
}

// Rules returns the rules that say whose secrets are, and the sequence of the commit that
// set them; version 0 before the first.
func (s Secrets) Rules(ctx context.Context) (version int, rules []events.OwnershipRule, seq events.Seq, err error) {
	row, err := readOwnership(ctx, s.Pool, "views.ownership_rules")
	if err != nil {
		return 0, nil, 0, err
	}
	return row.Version, row.Rules, row.Seq, nil
}

func (s *Secret) inUTC() {
	utc(&s.FirstSeenAt, &s.LastSeenAt, s.CreatedAt, s.UpdatedAt, s.RotatedAt, s.GoneAt)
}
