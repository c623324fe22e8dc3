package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// placeBits is how many bits of a place count within a commit. A commit has less than
// 2^20 bytes, and a secret takes at least ten.
const placeBits = 20

// inventory folds what scans and people say of secrets. One fact names hundreds, and
// what it means depends on facts of other histories, so unlike [view] it takes all
// commits of a batch in their order.
type inventory struct {
	scans map[events.ConnectionID]*scanRow // of all connections that a scan named since the start
	rules *ownershipRow                    // nil: not read yet
}

// scanRow is the last scan of a connection that met all of it. A zero Seq: none yet.
type scanRow struct {
	Connection events.ConnectionID `db:"connection"`
	Seq        events.Seq          `db:"seq"` // of the commit that ended it
	CompleteAt time.Time           `db:"complete_at"`
}

var scanTable = newTable("scans", []string{"connection"},
	text("connection", func(s *scanRow) events.ConnectionID { return s.Connection }),
	number("seq", func(s *scanRow) events.Seq { return s.Seq }),
	instant("complete_at", func(s *scanRow) time.Time { return s.CompleteAt }),
)

// findings is what a batch changes in the inventory.
type findings struct {
	rows    map[events.SecretID]*finding
	touched []*finding // in the order of their first fact
	scans   map[events.ConnectionID]*scanRow
	changes []*versionChange
	hands   map[events.SecretID]*assignment
	rules   *ownershipRow // nil: as they were
}

// finding is one secret: as the views have it, and as the batch leaves it.
type finding struct {
	before *secretRow // nil: not there
	now    *secretRow // nil: still not there
}

// take folds commits. Jobs has the rows of all jobs among them, with these facts.
func (v *inventory) take(ctx context.Context, conn *pgx.Conn, commits []events.Recorded, jobs map[string]*Job) (*findings, error) {
	f := &findings{
		rows: map[events.SecretID]*finding{}, scans: map[events.ConnectionID]*scanRow{}, hands: map[events.SecretID]*assignment{},
	}
	if err := v.fetch(ctx, conn, f, commits, jobs); err != nil {
		return nil, err
	}
	for _, c := range commits {
		index := int64(0) // of the next secret in this commit
		for _, e := range c.Events {
			at := stored(e.Time)
			switch fact := e.Fact.(type) {
			case events.SecretsFound:
				v.met(f, c.Seq, &index, at, fact.Scan, fact.Connection, fact.Secrets)
			case events.SecretsChanged:
				v.met(f, c.Seq, &index, at, fact.Scan, fact.Connection, fact.Secrets)
			case events.SecretsGone:
				v.missed(f, c.Seq, at, fact.Connection, fact.Refs)
			case events.SecretAssigned:
				f.assigned(c, fact)
			case events.OwnershipRulesSet:
				f.rules = ownershipOf(c.Seq, fact)
			case events.JobFinished:
				v.finished(f, c, jobs[c.Stream.ID])
			}
		}
	}
	return f, nil
}

// met takes secrets that a scan met and that are new, there again, or different.
func (v *inventory) met(f *findings, seq events.Seq, index *int64, at time.Time, scan events.JobID, connection events.ConnectionID, secrets []events.SecretMetadata) {
	if !isConnection(connection) {
		return
	}
	for _, m := range secrets {
		place := int64(seq)<<placeBits | *index
		*index++
		id := events.SecretOf(connection, m.Ref)
		row := f.touch(id)
		m = Kept(m)
		change := &versionChange{Place: place, Secret: id, To: m.Version, SeenAt: at, Scan: clean(scan)}
		switch {
		case row.now == nil:
			row.now = &secretRow{Place: place, ID: id, Connection: connection, FirstSeenAt: at, Seq: seq}
			if v.scans[connection].Seq > 0 && m.Version != "" {
				change.Kind = ChangeCreated
			}
		case row.now.Version == "" || m.Version == "" || row.now.Version == m.Version:
			// Nobody can tell that the value is another one.
		case row.now.Status == SecretGone:
			change.Kind, change.From = ChangeReturned, row.now.Version
		default:
			change.Kind, change.From = ChangeVersion, row.now.Version
		}
		if change.Kind != "" {
			f.changes = append(f.changes, change)
		}
		row.now.set(m, seq, at)
	}
}

// missed takes secrets that are gone. Until when they were there is known from the last
// complete scan before.
func (v *inventory) missed(f *findings, seq events.Seq, at time.Time, connection events.ConnectionID, refs []string) {
	if !isConnection(connection) {
		return
	}
	for _, ref := range refs {
		row := f.touch(events.SecretOf(connection, ref)).now
		if row == nil || row.Status == SecretGone {
			continue
		}
		if last := v.scans[connection].CompleteAt; last.After(row.SeenAt) {
			row.SeenAt = last
		}
		row.Status, row.GoneAt, row.LastSeq = SecretGone, &at, seq
	}
}

// finished takes the end of a scan that opened every folder. Nothing follows the end of
// a job, so its row tells whether this commit ended it.
func (v *inventory) finished(f *findings, c events.Recorded, job *Job) {
	if job == nil || job.State != events.JobStateFinished || job.LastSeq != c.Seq ||
		job.Operation != events.OperationDiscover || job.Result.Unlisted > 0 {
		return
	}
	began := job.QueuedAt
	if job.TakenAt != nil {
		began = *job.TakenAt
	}
	scan := v.scans[job.Connection]
	scan.Seq, scan.CompleteAt = c.Seq, began
	f.scans[job.Connection] = scan
}

// touch returns the finding of a secret. Only take calls it, after fetch.
func (f *findings) touch(id events.SecretID) *finding {
	row := f.rows[id]
	if row == nil {
		row = &finding{}
		f.rows[id] = row
		f.touched = append(f.touched, row)
	}
	return row
}

// fetch reads what the views have of all that the commits name.
func (v *inventory) fetch(ctx context.Context, conn *pgx.Conn, f *findings, commits []events.Recorded, jobs map[string]*Job) error {
	var ids []string
	named := map[events.SecretID]bool{}
	name := func(connection events.ConnectionID, ref string) {
		if id := events.SecretOf(connection, ref); !named[id] {
			named[id] = true
			ids = append(ids, string(id))
		}
	}
	connections := map[events.ConnectionID]bool{}
	for _, c := range commits {
		for _, e := range c.Events {
			switch fact := e.Fact.(type) {
			case events.SecretsFound:
				connections[fact.Connection] = true
				for _, m := range fact.Secrets {
					name(fact.Connection, m.Ref)
				}
			case events.SecretsChanged:
				connections[fact.Connection] = true
				for _, m := range fact.Secrets {
					name(fact.Connection, m.Ref)
				}
			case events.SecretsGone:
				connections[fact.Connection] = true
				for _, ref := range fact.Refs {
					name(fact.Connection, ref)
				}
			case events.JobFinished:
				if job := jobs[c.Stream.ID]; job != nil {
					connections[job.Connection] = true
				}
			}
		}
	}
	if err := v.fetchScans(ctx, conn, connections); err != nil {
		return err
	}
	return f.fetch(ctx, conn, ids)
}

func (v *inventory) fetchScans(ctx context.Context, conn *pgx.Conn, connections map[events.ConnectionID]bool) error {
	if v.scans == nil {
		v.scans = map[events.ConnectionID]*scanRow{}
	}
	var missing []string
	for name := range connections {
		if isConnection(name) && v.scans[name] == nil {
			v.scans[name] = &scanRow{Connection: name}
			missing = append(missing, string(name))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rows, err := scanTable.rows(ctx, conn, missing)
	for _, row := range rows {
		utc(&row.CompleteAt)
		v.scans[row.Connection] = row
	}
	return err
}

func (f *findings) fetch(ctx context.Context, conn *pgx.Conn, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := secretTable.rows(ctx, conn, ids)
	if err != nil {
		return err
	}
	for _, row := range rows {
		utc(&row.FirstSeenAt, &row.SeenAt, row.CreatedAt, row.UpdatedAt, row.RotatedAt, row.GoneAt)
		before := *row
		f.rows[row.ID] = &finding{before: &before, now: row}
	}
	for _, id := range ids { // so that touched is in the order of the facts
		if row := f.rows[events.SecretID(id)]; row != nil {
			f.touched = append(f.touched, row)
		}
	}
	return nil
}

// queue adds the statements. Those that compare rows with each other come last.
func (f *findings) queue(queue *pgx.Batch, rules *ownershipRow, patched []events.SecretID) error {
	var rows []*secretRow
	var scans []*scanRow
	for _, row := range f.touched {
		if row.now != nil {
			rows = append(rows, row.now)
		}
	}
	for _, scan := range f.scans {
		scans = append(scans, scan)
	}
	if err := secretTable.queue(queue, rows); err != nil {
		return err
	}
	if err := scanTable.queue(queue, scans); err != nil {
		return err
	}
	f.queueLabels(queue)
	f.queueCounts(queue)
	if err := f.queueOwners(queue, rules); err != nil {
		return fmt.Errorf("say whose secrets are: %w", err)
	}
	return f.queueChanges(queue, patched)
}
