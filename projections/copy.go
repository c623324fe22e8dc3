package projections

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyRows are rows in the binary format of COPY (PostgreSQL, COPY, "Binary Format").
// Written by hand because boxing every value for the driver took longer than the
// server's own work (decision 0043).
type copyRows struct{ b []byte }

// copyHeader is the signature, no flags, and no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// postgresEpoch is the zero of a timestamptz, which counts microseconds.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func (r *copyRows) row(fields int) {
	if len(r.b) == 0 {
		r.b = append(r.b, copyHeader...)
	}
	r.b = binary.BigEndian.AppendUint16(r.b, uint16(fields))
}

func (r *copyRows) bigint(n int64) {
	r.b = binary.BigEndian.AppendUint32(r.b, 8)
	r.b = binary.BigEndian.AppendUint64(r.b, uint64(n))
}

func (r *copyRows) integer(n int) {
	r.b = binary.BigEndian.AppendUint32(r.b, 4)
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(int32(n)))
}

func (r *copyRows) bytea(b []byte) {
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(len(b)))
	r.b = append(r.b, b...)
}

// text takes a text that was cleaned.
func (r *copyRows) text(s string) {
	r.b = binary.BigEndian.AppendUint32(r.b, uint32(len(s)))
	r.b = append(r.b, s...)
}

func (r *copyRows) timestamptz(t time.Time) { r.bigint(t.UnixMicro() - postgresEpoch) }

// send copies the rows into a table, named with its columns, inside the connection's
// transaction.
func (r *copyRows) send(ctx context.Context, conn *pgx.Conn, into string) error {
	r.b = binary.BigEndian.AppendUint16(r.b, 0xffff) // the trailer, -1
	_, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(r.b), "COPY "+into+" FROM STDIN (FORMAT binary)")
	return err
}
