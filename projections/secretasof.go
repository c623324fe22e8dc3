package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"secretsbridge/events"
)

// maxPagesOfThePast is how many pages of scans [Secrets.AsOf] looks through. A page names
// hundreds of secrets that were new or different, so these are some millions.
const maxPagesOfThePast = 20_000

// ErrLongPast says that more was recorded of scans than one answer may look through.
var ErrLongPast = errors.New("too much was recorded of scans until then")

// AsOf is a secret as the inventory had it when a commit was the newest one: what scans had said
// of it, folded as the views are, its connection and the rules of ownership of then, and what
// people had said of it by hand. [ErrNotFound] says that no scan had met it yet; [ErrLongPast] that
// there are more than 20,000 pages to look through.
//
// Pages are looked through by their bytes, in Postgres, which sends those alone that name the
// secret.
func (s Secrets) AsOf(ctx context.Context, id events.SecretID, at events.Seq) (Secret, error) {
	secret, err := s.asOf(ctx, id, at)
	if err != nil {
		return Secret{}, fmt.Errorf("fold secret %s up to %d: %w", id, at, err)
	}
	return secret, nil
}

func (s Secrets) asOf(ctx context.Context, id events.SecretID, at events.Seq) (Secret, error) {
	type name struct {
		Connection events.ConnectionID
		Ref        string
	}
	of, err := fetchOne[name](ctx, s.Pool, "SELECT connection, ref FROM views.secrets WHERE id = $1", planned, id)
	if err != nil {
		return Secret{}, err
	}
	row, complete, err := s.foldAsOf(ctx, id, of.Connection, of.Ref, at)
	if err != nil {
		return Secret{}, err
	}
	secret := Secret{
		ID: id, Connection: row.Connection, Ref: row.Ref, Labels: row.Labels, Version: row.Version,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, RotatedAt: row.RotatedAt,
		FirstSeenAt: row.FirstSeenAt, LastSeenAt: row.SeenAt, Status: row.Status, GoneAt: row.GoneAt, Seq: row.Seq, LastSeq: row.LastSeq,
	}
	if last := complete.CompleteAt; row.Status == SecretPresent && last != nil && last.After(secret.LastSeenAt) {
		secret.LastSeenAt = *last
	}
	connection, err := asOf(ctx, s.Pool, newConnectionView(), events.ConnectionStream(of.Connection), at)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Secret{}, err
	}
	secret.Cluster, secret.Provider = connection.Cluster, connection.Provider
	return secret, s.ownedAsOf(ctx, &secret, at)
}

// foldAsOf folds what scans said of one secret, and when its connection was last met as a whole.
func (s Secrets) foldAsOf(ctx context.Context, id events.SecretID, connection events.ConnectionID, ref string, at events.Seq) (*secretRow, *scannedRow, error) {
	pages, err := s.pagesAbout(ctx, connection, ref, at)
	if err != nil {
		return nil, nil, err
	}
	scans, err := s.scansUntil(ctx, connection, at)
	if err != nil {
		return nil, nil, err
	}
	v := inventory{scanned: map[events.ConnectionID]*scannedRow{}}
	f := newFindings()
	for _, page := range pages {
		for len(scans) > 0 && scans[0].LastSeq < page.Seq {
			v.finished(f, events.Recorded{Seq: scans[0].LastSeq}, scans[0])
			scans = scans[1:]
		}
		v.fold(f, only(page, connection, id), nil)
	}
	for _, scan := range scans {
		v.finished(f, events.Recorded{Seq: scan.LastSeq}, scan)
	}
	if row := f.rows[id]; row != nil && row.now != nil {
		return row.now, v.scan(f, connection), nil
	}
	return nil, nil, ErrNotFound
}

// pagesAbout are the commits of scans that may name a secret.
func (s Secrets) pagesAbout(ctx context.Context, connection events.ConnectionID, ref string, at events.Seq) ([]events.Recorded, error) {
	types := make([]string, 0, 3)
	for _, f := range []events.Fact{events.SecretsFound{}, events.SecretsChanged{}, events.SecretsGone{}} {
		typ, err := events.TypeOf(f)
		if err != nil {
			return nil, err
		}
		types = append(types, typ)
	}
	var pages int
	err := s.Pool.QueryRow(ctx, `
		SELECT count(*)
		FROM   (
			SELECT
			FROM   audit.events
			WHERE  type = ANY ($1)
			AND    seq <= $2
			LIMIT  $3
		) pages`, planned, types, int64(at), maxPagesOfThePast+1).Scan(&pages)
	if err != nil {
		return nil, fmt.Errorf("count the pages of scans: %w", err)
	}
	if pages > maxPagesOfThePast {
		return nil, ErrLongPast
	}
	needle := quote(ref)
	if strings.ContainsRune(ref, '\uFFFD') {
		needle = "" // it may stand for anything that Postgres does not take
	}
	return storedCommits(ctx, s.Pool, `
		SELECT e.seq
		FROM   audit.events e
		JOIN   audit.commits c ON c.seq = e.seq
		WHERE  e.type = ANY ($1)
		AND    e.seq <= $2
		AND    position($3::bytea IN c.raw) > 0
		AND    position($4::bytea IN c.raw) > 0`, types, int64(at), []byte(quote(string(connection))), []byte(needle))
}

// scansUntil are the scans of a connection that had finished, oldest first. Nothing follows the
// end of a job, so their rows are what they were.
func (s Secrets) scansUntil(ctx context.Context, connection events.ConnectionID, at events.Seq) ([]*Job, error) {
	found, err := Jobs(s).fetch(ctx, selectJobs+`
		WHERE  connection = $1
		AND    operation = $2
		AND    state = $3
		AND    last_seq <= $4
		ORDER  BY last_seq`, planned, connection, events.OperationDiscover, events.JobStateFinished, int64(at))
	if err != nil {
		return nil, fmt.Errorf("list the scans of connection %q: %w", connection, err)
	}
	scans := make([]*Job, len(found))
	for i := range found {
		scans[i] = &found[i]
	}
	return scans, nil
}

// only leaves of a commit what it says of one secret.
func only(c events.Recorded, connection events.ConnectionID, id events.SecretID) events.Recorded {
	is := func(of events.ConnectionID, ref string) bool {
		return of == connection && events.SecretOf(of, ref) == id
	}
	about := func(of events.ConnectionID, all []events.SecretMetadata) (said []events.SecretMetadata) {
		for _, m := range all {
			if is(of, m.Ref) {
				said = append(said, m)
			}
		}
		return said
	}
	kept := c
	kept.Events = nil
	for _, e := range c.Events {
		switch f := e.Fact.(type) {
		case events.SecretsFound:
			f.Secrets = about(f.Connection, f.Secrets)
			e.Fact = f
		case events.SecretsChanged:
			f.Secrets = about(f.Connection, f.Secrets)
			e.Fact = f
		case events.SecretsGone:
			var refs []string
			for _, ref := range f.Refs {
				if is(f.Connection, ref) {
					refs = append(refs, ref)
				}
			}
			f.Refs = refs
			e.Fact = f
		default:
			continue
		}
		kept.Events = append(kept.Events, e)
	}
	return kept
}

// ownedAsOf says whose a secret was, by the statement that says it in the views: over one row of
// then in place of the table.
func (s Secrets) ownedAsOf(ctx context.Context, secret *Secret, at events.Seq) error {
	rules := &ownershipRow{}
	err := s.lastSaid(ctx, "type = $2", at, events.OwnershipRulesSet{}, func(c events.Recorded, f events.Fact) {
		if f, ok := f.(events.OwnershipRulesSet); ok {
			rules = ownershipOf(c.Seq, f)
		}
	})
	if err != nil {
		return err
	}
	said := newFindings()
	err = s.lastSaid(ctx, "type = $2 AND stream = $3", at, events.SecretAssigned{}, func(c events.Recorded, f events.Fact) {
		if f, ok := f.(events.SecretAssigned); ok {
			said.assigned(c, f)
		}
	}, events.SecretStream(secret.ID).String())
	if err != nil {
		return err
	}
	hand := said.hands[secret.ID]
	if hand == nil {
		hand = &assignment{Secret: secret.ID}
	}
	secret.LastSeq = max(secret.LastSeq, hand.Seq)
	outcome, args := rules.outcomeOf(`
		WITH secrets (place, id, connection, ref, labels) AS (
			SELECT 0::bigint, ?::text, ?::text, ?::text, ?::jsonb
		), secret_assignments (secret, owner, environment) AS (
			SELECT ?::text, ?::text, ?::text
		)`, "", secret.ID, secret.Connection, secret.Ref, secret.Labels, secret.ID, hand.Owner, hand.Environment)
	var place int64
	err = s.Pool.QueryRow(ctx, outcome, append([]any{planned}, args...)...).
		Scan(&place, &secret.Owner, &secret.OwnerFrom, &secret.Environment, &secret.EnvironmentFrom)
	if err != nil {
		return fmt.Errorf("say whose it was: %w", err)
	}
	return nil
}

// lastSaid visits the facts of the newest commit that has one of a type.
func (s Secrets) lastSaid(ctx context.Context, where string, at events.Seq, like events.Fact, visit func(events.Recorded, events.Fact), args ...any) error {
	typ, err := events.TypeOf(like)
	if err != nil {
		return err
	}
	commits, err := storedCommits(ctx, s.Pool, `
		SELECT max(seq)
		FROM   audit.events
		WHERE  seq <= $1
		AND    `+where, append([]any{int64(at), typ}, args...)...)
	if err != nil {
		return err
	}
	for _, c := range commits {
		for _, e := range c.Events {
			visit(c, e.Fact)
		}
	}
	return nil
}
