package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

// rowsLabel is what the key of the MACs of rows is derived for. No connection has such a name, so
// it is no key of fingerprints.
const rowsLabel = "private rows"

// refusedRows counts rows that opened nothing.
var refusedRows = prometheus.NewDesc("sb_refused_rows_total", "how often a row of schema private opened nothing on this server, as somebody else than the control plane wrote it, put it back or removed it", []string{"table", "why"}, nil)

// openRows derives the key of the MACs of rows from the key manager, which all servers of an
// installation share and the database does not hold.
func (st *stack) openRows(ctx context.Context) error {
	key, err := st.keys.wrapping.FingerprintKey(ctx, rowsLabel)
	if err != nil {
		return fmt.Errorf("derive the key of rows: %w", err)
	}
	st.denouncer = accounts.NewDenouncer(func() command.Log {
		if st.store == nil {
			return nil
		}
		return st.store
	}, st.log, time.Now)
	st.rows, err = store.NewRows(key.Expose(), st.denouncer.Denounce)
	return err
}

// adoptRows takes over what a version kept that knew no MACs: roles in rows, and then the rows
// themselves, once in the life of an installation. That it was done is a fact: who has the database
// alone cannot have it done again.
func (st *stack) adoptRows(ctx context.Context) error {
	rows, _, err := command.Load[command.Rows](ctx, st.store, events.RowsStream())
	if err != nil {
		return err
	}
	if rows.Adopted {
		return st.rights.Fresh(ctx)
	}
	if err := moveRoles(ctx, st.store, store.FormerRoles{Pool: st.pool}, time.Now); err != nil {
		return err
	}
	if err := st.rights.Fresh(ctx); err != nil {
		return err
	}
	adopted, err := store.Adopt(ctx, st.pool, st.rows, time.Now(), st.rights.User)
	if err != nil {
		return err
	}
	// The fact comes last: where a crash comes before it, the next start finds the rows done.
	meta := command.Meta{Command: events.DeriveCommandID("adopt rows"), Actor: migration, Time: time.Now()}
	done, err := command.Execute(ctx, st.store, events.RowsStream(), meta, func(r command.Rows) ([]events.Fact, error) { return r.Adopt(adopted) })
	if err != nil {
		return fmt.Errorf("record that rows of people have MACs: %w", err)
	}
	if adopted != (events.RowsAdopted{}) {
		st.log.Info("rows of people have MACs from here on, and all sessions ended", "people", adopted.People, "left", adopted.Left)
	}
	return st.rights.WaitFor(ctx, done.Seq)
}
