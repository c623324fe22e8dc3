package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Integrations answers from the views of integrations and mappings. Removed ones are not there.
type Integrations struct{ Pool *pgxpool.Pool }

// IntegrationFilter narrows a list. Zero fields do not.
type IntegrationFilter struct {
	Kind   events.IntegrationKind
	State  command.IntegrationState // active or disabled
	Cursor string
	Limit  int // at most [MaxLimit]
}

const (
	selectIntegrations = "SELECT * FROM views.integrations"
	notRemoved         = "state <> 'removed'"
)

// List returns integrations, newest first. Errors: [ErrCursor].
func (s Integrations) List(ctx context.Context, filter IntegrationFilter) (Page[Integration], error) {
	var q query
	q.and(notRemoved)
	if filter.Kind != "" {
		q.and("kind = ?", filter.Kind)
	}
	if filter.State != "" {
		q.and("state = ?", filter.State)
	}
	if err := q.before(filter.Cursor); err != nil {
		return Page[Integration]{}, err
	}
	limit := limited(filter.Limit)
	found, err := fetch[Integration](ctx, s.Pool, q.text(selectIntegrations, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[Integration]{}, fmt.Errorf("list integrations: %w", err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return paged(found, limit, func(i Integration) string { return cursor(uint64(i.Seq)) }), nil
}

// Get returns one integration, or [ErrNotFound].
func (s Integrations) Get(ctx context.Context, name events.IntegrationID) (Integration, error) {
	found, err := fetchOne[Integration](ctx, s.Pool, selectIntegrations+" WHERE name = $1 AND "+notRemoved, name)
	if err != nil {
		return Integration{}, fmt.Errorf("load integration %q: %w", name, err)
	}
	found.inUTC()
	return found, nil
}

// Count is how many there are.
func (s Integrations) Count(ctx context.Context) (n int, err error) {
	if err := s.Pool.QueryRow(ctx, "SELECT count(*) FROM views.integrations WHERE "+notRemoved).Scan(&n); err != nil {
		return 0, fmt.Errorf("count integrations: %w", err)
	}
	return n, nil
}

const selectMappings = "SELECT * FROM views.mappings"

// MappingsOf returns the mappings of an integration that count, oldest first. Errors: [ErrCursor].
func (s Integrations) MappingsOf(ctx context.Context, name events.IntegrationID, at string, limit int) (Page[Mapping], error) {
	var q query
	q.and("integration = ?", name)
	q.and("removed_at IS NULL")
	if at != "" {
		after, err := parseCursor(at, 1)
		if err != nil {
			return Page[Mapping]{}, fmt.Errorf("read cursor: %w", err)
		}
		q.and("seq > ?", after[0])
	}
	limit = limited(limit)
	found, err := fetch[Mapping](ctx, s.Pool, q.text(selectMappings, "ORDER BY seq", limit+1), q.args...)
	if err != nil {
		return Page[Mapping]{}, fmt.Errorf("list mappings of %q: %w", name, err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return paged(found, limit, func(m Mapping) string { return cursor(uint64(m.Seq)) }), nil
}

// Watched is an application that uses a secret, and who looks at it.
type Watched struct {
	Integration events.IntegrationID   `db:"integration"`
	Kind        events.IntegrationKind `db:"kind"`
	Cluster     events.ClusterID       `db:"cluster"` // whose agents look; empty: the worker does
	Mapping     events.MappingID       `db:"mapping"`
	Target      events.RolloutTarget   `db:"target"`
}

// maxMatched bounds how many mappings of one secret are looked through for applications that are
// not the same.
const maxMatched = 1000

// MappingsFor returns the applications that use a secret, at most so many and each once, and how
// many more there are: those that a mapping names the secret for before those that a mapping
// names by its labels, as the inventory has them, and older mappings first. Only integrations
// that are enabled count.
func (s Integrations) MappingsFor(ctx context.Context, connection events.ConnectionID, ref string, most int) (found []Watched, left int, err error) {
	all, err := fetch[Watched](ctx, s.Pool, `
		SELECT m.integration,
		       i.kind,
		       coalesce(i.settings ->> 'cluster', '') AS cluster,
		       m.id AS mapping,
		       m.target
		FROM   views.mappings m
		JOIN   views.integrations i ON i.name = m.integration
		WHERE  m.connection = $1
		AND    md5(m.ref) IN (md5($2), md5(''))
		AND    m.removed_at IS NULL
		AND    i.state = 'active'
		AND    i.kind = ANY ($5)
		AND    CASE
		           WHEN m.ref <> '' THEN m.ref = $2
		           ELSE m.labels <> '{}' AND m.labels <@ (SELECT labels FROM views.secrets WHERE id = $3)
		       END
		ORDER  BY m.ref = '', m.seq, m.id
		LIMIT  $4`, planned, connection, ref, events.SecretOf(connection, ref), maxMatched, kindsThat(events.IntegrationKind.Watched))
	if err != nil {
		return nil, 0, fmt.Errorf("find who uses %s/%s: %w", connection, ref, err)
	}
	type application struct {
		events.IntegrationID
		events.RolloutTarget
	}
	seen := map[application]bool{}
	for _, w := range all {
		at := application{w.Integration, w.Target}
		at.Secret = "" // where it lies is no other application
		switch {
		case seen[at]:
		case len(found) < most:
			found = append(found, w)
		default:
			left++
		}
		seen[at] = true
	}
	return found, left, nil
}

func kindsThat(do func(events.IntegrationKind) bool) (kinds []string) {
	for _, k := range events.IntegrationKinds() {
		if do(k) {
			kinds = append(kinds, string(k))
		}
	}
	return kinds
}

// Told is an integration that is told of facts, and of which. It is one of those that are
// enabled.
type Told struct {
	Name     events.IntegrationID
	Kind     events.IntegrationKind
	Notices  []events.NoticeKind // none is all
	Projects []string            // of which; none is all
}

// Told returns those that are told, in the order of their names. There are few, and one query
// serves a batch of facts.
func (s Integrations) Told(ctx context.Context) ([]Told, error) {
	found, err := fetch[Integration](ctx, s.Pool, selectIntegrations+`
		WHERE  state = 'active'
		AND    kind = ANY ($1)
		ORDER  BY name`, kindsThat(events.IntegrationKind.Told))
	if err != nil {
		return nil, fmt.Errorf("list who is told: %w", err)
	}
	told := make([]Told, len(found))
	for n, i := range found {
		told[n] = Told{i.Name, i.Kind, i.Settings.Notices, i.Settings.Projects}
	}
	return told, nil
}
