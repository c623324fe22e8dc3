package accounts

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/store"
)

const (
	// denounceEvery is how often one row is told of, however often somebody comes with it.
	denounceEvery = time.Minute

	// denounceTimeout bounds how long a refusal waits until it is on record.
	denounceTimeout = 2 * time.Second

	// maxDenounced bounds the rows that are remembered as told.
	maxDenounced = 10_000
)

// rowGuard is the actor of what is found wrong with rows.
var rowGuard = events.SystemActor("rows")

// reasons are what can be wrong with a row, in words.
var reasons = map[string]string{
	store.RowForged:  "it has no MAC of the control plane: somebody else wrote it",
	store.RowPutBack: "the log says that it is over: somebody put it back, or an outage kept it",
	store.RowMissing: "the log says that it is there: somebody removed or changed it, or an outage kept it from being written",
}

// RowKind is what is counted: a table, and why a row of it opened nothing.
type RowKind struct{ Table, Why string }

// Denouncer puts rows on record that open nothing. Use it from any goroutine.
type Denouncer struct {
	log    func() command.Log // nil before it is open
	logger *slog.Logger
	now    func() time.Time

	mu    sync.Mutex // guards what follows
	told  map[store.Denounced]time.Time
	count map[RowKind]uint64
}

// NewDenouncer makes it. log may answer nil while the log is not open: then a row is logged alone.
func NewDenouncer(log func() command.Log, logger *slog.Logger, now func() time.Time) *Denouncer {
	return &Denouncer{log: log, logger: logger, now: now, told: map[store.Denounced]time.Time{}, count: map[RowKind]uint64{}}
}

// Denounce logs and records a row once a minute. Whoever came with it is refused in any case.
func (d *Denouncer) Denounce(ctx context.Context, row store.Denounced) {
	if !d.isNew(row) {
		return
	}
	d.logger.Error("a row of the database opens nothing", "table", row.Table, "row", row.Row, "code", row.Why, "err", reasons[row.Why])
	log := d.log()
	if log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), denounceTimeout)
	defer cancel()
	meta := command.Meta{Command: events.NewCommandID(), Actor: rowGuard, Time: d.now()}
	fact := events.AccessDenied{Action: "row.read", Resource: "private." + row.Table + "/" + row.Row, Code: row.Why}
	if _, err := command.Record(ctx, log, events.AccessStream(rowGuard), meta, fact); err != nil {
		d.logger.Error("it is not on record that a row of the database opens nothing", "table", row.Table, "row", row.Row, "err", err)
	}
}

func (d *Denouncer) isNew(row store.Denounced) bool {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count[RowKind{row.Table, row.Why}]++
	if at, told := d.told[row]; told && now.Sub(at) < denounceEvery {
		return false
	}
	if len(d.told) >= maxDenounced {
		clear(d.told)
	}
	d.told[row] = now
	return true
}

// Counted is how often each kind opened nothing.
func (d *Denouncer) Counted() map[RowKind]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.count)
}
