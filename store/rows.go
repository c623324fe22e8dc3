package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"secretsbridge/events"
)

// rowDomain is the beginning of what every MAC of a row is over.
const rowDomain = "secrets-bridge row v1"

// rowKeyBytes is how long the key of the MACs is at least.
const rowKeyBytes = 32

// Why a row opens nothing.
const (
	RowForged  = "row_forged"   // its MAC is missing, or of another row
	RowPutBack = "row_put_back" // its MAC is right, and the log knows that it is over
	RowMissing = "row_missing"  // the log knows of it, and it is not there
)

// Denounced is a row that opens nothing, because somebody else than the control plane wrote it or
// removed it. Nothing in it is secret.
type Denounced struct {
	Table string // of schema private
	Row   string // whose it is: the id of a session, a token, a person or a factor; may be empty
	Why   string // one of [RowForged], [RowPutBack], [RowMissing]
}

// Rows vouch for the rows that open something: whoever writes to the database alone makes none that
// counts. The MAC of a row is HMAC-SHA-256 over the name of its table, its key and every column that
// decides, each with its kind and its length in front, so that no two rows give the same text.
//
// A MAC does not tell a row from the same row as it was before. Where that matters the log knows
// which one counts, and package web, accounts and factors ask it.
type Rows struct {
	key      []byte
	denounce func(context.Context, Denounced)
}

// NewRows makes it from a key that the database never sees. denounce is told of each row that opens
// nothing, before whoever came with it is refused; it must not block for long.
func NewRows(key []byte, denounce func(context.Context, Denounced)) (*Rows, error) {
	if len(key) < rowKeyBytes {
		return nil, fmt.Errorf("the key of rows has %d bytes, and needs %d", len(key), rowKeyBytes)
	}
	return &Rows{key: bytes.Clone(key), denounce: denounce}, nil
}

// mac is the MAC of a row.
func (r *Rows) mac(table string, columns ...any) []byte {
	sum := hmac.New(sha256.New, r.key)
	write := func(kind byte, b []byte) {
		var head [9]byte
		head[0] = kind
		binary.BigEndian.PutUint64(head[1:], uint64(len(b)))
		sum.Write(head[:])
		sum.Write(b)
	}
	number := func(kind byte, n int64) { write(kind, binary.BigEndian.AppendUint64(nil, uint64(n))) }
	write('d', []byte(rowDomain))
	write('t', []byte(table))
	for _, c := range columns {
		switch c := c.(type) {
		case nil:
			write('0', nil)
		case []byte:
			if c == nil {
				write('0', nil)
			} else {
				write('b', c)
			}
		case string:
			write('s', []byte(c))
		case *string:
			if c == nil {
				write('0', nil)
			} else {
				write('s', []byte(*c))
			}
		case bool:
			if c {
				number('?', 1)
			} else {
				number('?', 0)
			}
		case int:
			number('n', int64(c))
		case int64:
			number('n', c)
		case uint32:
			number('n', int64(c))
		case time.Time: // as Postgres keeps it
			number('m', c.UnixMicro())
		case *time.Time:
			if c == nil {
				write('0', nil)
			} else {
				number('m', c.UnixMicro())
			}
		case events.UserID:
			write('s', []byte(c))
		case events.SessionID:
			write('s', []byte(c))
		case events.TokenID:
			write('s', []byte(c))
		case events.FactorID:
			write('s', []byte(c))
		case events.UserKind:
			write('s', []byte(c))
		case events.FactorKind:
			write('s', []byte(c))
		case events.LinkPurpose:
			write('s', []byte(c))
		case events.CommandID:
			write('s', []byte(c))
		default:
			panic(fmt.Sprintf("no MAC is defined over a %T", c))
		}
	}
	return sum.Sum(nil)
}

// ours reports whether a row has the MAC that it must have.
func (r *Rows) ours(mac []byte, table string, columns ...any) bool {
	return hmac.Equal(mac, r.mac(table, columns...))
}

// check returns ErrNotFound for a row whose MAC is not its own, and denounces it.
func (r *Rows) check(ctx context.Context, mac []byte, table, row string, columns ...any) error {
	if r.ours(mac, table, columns...) {
		return nil
	}
	r.Denounce(ctx, Denounced{Table: table, Row: row, Why: RowForged})
	return fmt.Errorf("%w: the row of %s has no MAC of ours", ErrNotFound, table)
}

// Denounce says that a row opens nothing, whoever found it out.
func (r *Rows) Denounce(ctx context.Context, d Denounced) { r.denounce(ctx, d) }
