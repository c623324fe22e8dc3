package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// A place has the number of the connection, the sequence of the commit and the place in
// it, in so many bits. A commit has less than 2^20 bytes, and a secret takes at least ten.
// Connections beyond the last number share it.
const (
	indexBits  = 17
	seqBits    = 34
	lastNumber = 1<<(63-seqBits-indexBits) - 1
)

// placeIn is where a secret is in its commit.
func placeIn(seq events.Seq, index int64) int64 { return int64(seq)<<indexBits | index }

// firstPlace is before all places of a connection, and of a number beyond the last.
func firstPlace(number int64) int64 { return number << (seqBits + indexBits) }

// inventory folds what scans and people say of secrets. One fact names hundreds, and
// what it means depends on facts of other histories, so unlike [view] it takes all
// commits of a batch in their order.
type inventory struct {
	scanned map[events.ConnectionID]*scannedRow // nil: not read yet
	rules   *ownershipRow                       // nil: not read yet
}

// scannedRow is a connection of which a scan said anything.
type scannedRow struct {
	Connection  events.ConnectionID `db:"connection"`
	Number      int64               `db:"number"`
	CompleteSeq events.Seq          `db:"complete_seq"`
	CompleteAt  *time.Time          `db:"complete_at"`
}

var scannedTable = newTable("scanned_connections", []string{"connection"},
	text("connection", func(s *scannedRow) events.ConnectionID { return s.Connection }),
	number("number", func(s *scannedRow) uint64 { return uint64(s.Number) }),
	number("complete_seq", func(s *scannedRow) events.Seq { return s.CompleteSeq }),
	perhaps("complete_at", func(s *scannedRow) *time.Time { return s.CompleteAt }),
)

// findings is what a batch changes in the inventory.
type findings struct {
	rows    map[events.SecretID]*finding
	touched []*finding // in the order of their first fact
	scanned map[events.ConnectionID]*scannedRow
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
	f := newFindings()
	if err := v.fetch(ctx, conn, f, commits); err != nil {
		return nil, err
	}
	for _, c := range commits {
		v.fold(f, c, jobs[c.Stream.ID])
	}
	return f, nil
}

func newFindings() *findings {
	return &findings{
		rows: map[events.SecretID]*finding{}, scanned: map[events.ConnectionID]*scannedRow{}, hands: map[events.SecretID]*assignment{},
	}
}

// fold takes one commit. Job is the row of the job whose history it belongs to, if it does.
func (v *inventory) fold(f *findings, c events.Recorded, job *Job) {
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
			v.finished(f, c, job)
		}
	}
}

// met takes secrets that a scan met and that are new, there again, or different.
func (v *inventory) met(f *findings, seq events.Seq, index *int64, at time.Time, scan events.JobID, connection events.ConnectionID, secrets []events.SecretMetadata) {
	if !isConnection(connection) {
		return
	}
	scanned := v.scan(f, connection)
	for _, m := range secrets {
		place := placeIn(seq, *index)
		*index++
		id := events.SecretOf(connection, m.Ref)
		row := f.touch(id)
		m = kept(m)
		change := &versionChange{Place: place, Secret: id, To: m.Version, SeenAt: at, Scan: clean(scan)}
		switch {
		case row.now == nil:
			row.now = &secretRow{Place: firstPlace(min(scanned.Number, lastNumber)) | place, ID: id, Connection: connection, FirstSeenAt: at, Seq: seq}
			if scanned.CompleteSeq > 0 && m.Version != "" {
				change.Kind = ChangeCreated
			}
		case row.now.ToldVersion == "" || m.Version == "" || row.now.ToldVersion == m.Version:
			// Nobody can tell that the value is another one.
		case row.now.Status == SecretGone:
			change.Kind, change.From = ChangeReturned, row.now.ToldVersion
		default:
			change.Kind, change.From = ChangeVersion, row.now.ToldVersion
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
		if last := v.scan(f, connection).CompleteAt; last != nil && last.After(row.SeenAt) {
			row.SeenAt = *last
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
	scanned := v.scan(f, job.Connection)
	scanned.CompleteSeq, scanned.CompleteAt = c.Seq, &began
}

// scan returns a connection that a fact tells something of.
func (v *inventory) scan(f *findings, connection events.ConnectionID) *scannedRow {
	row := v.scanned[connection]
	if row == nil {
		row = &scannedRow{Connection: connection, Number: int64(len(v.scanned))}
		v.scanned[connection] = row
	}
	f.scanned[connection] = row
	return row
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
func (v *inventory) fetch(ctx context.Context, conn *pgx.Conn, f *findings, commits []events.Recorded) error {
	var ids []string
	named := map[events.SecretID]bool{}
	name := func(connection events.ConnectionID, ref string) {
		if id := events.SecretOf(connection, ref); !named[id] {
			named[id] = true
			ids = append(ids, string(id))
		}
	}
	for _, c := range commits {
		for _, e := range c.Events {
			switch fact := e.Fact.(type) {
			case events.SecretsFound:
				for _, m := range fact.Secrets {
					name(fact.Connection, m.Ref)
				}
			case events.SecretsChanged:
				for _, m := range fact.Secrets {
					name(fact.Connection, m.Ref)
				}
			case events.SecretsGone:
				for _, ref := range fact.Refs {
					name(fact.Connection, ref)
				}
			}
		}
	}
	if err := v.fetchScanned(ctx, conn); err != nil {
		return err
	}
	return f.fetch(ctx, conn, ids)
}

// fetchScanned reads all connections once: there are few.
func (v *inventory) fetchScanned(ctx context.Context, conn *pgx.Conn) error {
	if v.scanned != nil {
		return nil
	}
	found, err := conn.Query(ctx, "SELECT * FROM scanned_connections")
	if err != nil {
		return fmt.Errorf("load scanned_connections: %w", err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToAddrOfStructByName[scannedRow])
	if err != nil {
		return fmt.Errorf("load scanned_connections: %w", err)
	}
	v.scanned = byKey(rows, func(s *scannedRow) events.ConnectionID { utc(s.CompleteAt); return s.Connection })
	return nil
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
	var scanned []*scannedRow
	for _, row := range f.touched {
		if row.now != nil {
			rows = append(rows, row.now)
		}
	}
	for _, row := range f.scanned {
		scanned = append(scanned, row)
	}
	if err := secretTable.queue(queue, rows); err != nil {
		return err
	}
	if err := scannedTable.queue(queue, scanned); err != nil {
		return err
	}
	f.queueLabels(queue)
	f.queueCounts(queue)
	if err := f.queueOwners(queue, rules); err != nil {
		return fmt.Errorf("say whose secrets are: %w", err)
	}
	return f.queueChanges(queue, patched)
}
