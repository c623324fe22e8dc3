package projections

import (
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// ChangeKind is how a scan met another version of a secret.
type ChangeKind string

// The kinds of changes.
const (
	ChangeVersion  ChangeKind = "changed"  // it had another one before
	ChangeCreated  ChangeKind = "created"  // it was not there in the first complete scan
	ChangeReturned ChangeKind = "returned" // it was gone, and is there again with another one
)

// versionChange is one change that a scan met.
type versionChange struct {
	Place    int64 // see placeIn
	Secret   events.SecretID
	Kind     ChangeKind
	From, To string
	SeenAt   time.Time
	Scan     events.JobID
}

var changeTable = newTable("version_changes", nil,
	number("place", func(c *versionChange) uint64 { return uint64(c.Place) }),
	text("secret", func(c *versionChange) events.SecretID { return c.Secret }),
	text("kind", func(c *versionChange) ChangeKind { return c.Kind }),
	text("from_version", func(c *versionChange) string { return c.From }),
	text("to_version", func(c *versionChange) string { return c.To }),
	instant("seen_at", func(c *versionChange) time.Time { return c.SeenAt }),
	text("scan", func(c *versionChange) events.JobID { return c.Scan }),
	gather("ours", "boolean", func(*versionChange) bool { return false }),
)

// queueChanges adds changes and says of them whether they are ours. When a patch of a secret
// ended it says so again of all others that the secret has had: a scan may see a write
// before the log has the fact that it was executed, or after. What is ours stays ours: more
// patches lead to no fewer versions.
//
// A change is ours if executed patches of that connection and ref lead to the new version
// from the old one, each from the version before it. Where a link is missing, somebody
// else wrote.
func (f *findings) queueChanges(queue *pgx.Batch, patched []events.SecretID) error {
	if len(f.changes) == 0 && len(patched) == 0 {
		return nil
	}
	if err := changeTable.queue(queue, f.changes); err != nil {
		return err
	}
	places := make([]int64, len(f.changes))
	for i, c := range f.changes {
		places[i] = c.Place
	}
	queue.Queue(`
		UPDATE version_changes v
		SET    ours = true
		FROM   secrets s
		WHERE  (v.place = ANY ($1) OR v.secret = ANY ($2))
		AND    NOT v.ours
		AND    s.id = v.secret
		AND    EXISTS (
			WITH RECURSIVE back (version) AS (
				SELECT v.to_version
				UNION
				SELECT coalesce(r.patch ->> 'previous_version', '')
				FROM   back
				JOIN   requests r ON md5(r.ref) = md5(s.ref) AND md5(r.provider_version) = md5(back.version)
				WHERE  r.operation = 'patch'
				AND    r.connection = s.connection
				AND    r.patch ->> 'outcome' IN ('written', 'found')
				AND    back.version <> ''
			)
			SELECT
			FROM   back
			WHERE  version = v.from_version
			OR     version = '' AND v.kind = 'returned'
		)`, places, patched)
	return nil
}

// patchedSecrets are the secrets of requests that changed and may have written.
func patchedSecrets(requests []*Request) []events.SecretID {
	var ids []events.SecretID
	for _, r := range requests {
		if r.Patch != nil && r.EndedAt != nil {
			ids = append(ids, events.SecretOf(r.Connection, r.Ref))
		}
	}
	return ids
}
