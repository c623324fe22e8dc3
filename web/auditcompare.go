package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

const (
	// maxCompared bounds what is kept of the rows that differ, in bytes: nothing of it is told
	// before it is on record that somebody compared, which is when it is known how many differ.
	maxCompared = 16 << 20

	// compareLook is how often a call that waits for its comparison looks whether it still may.
	compareLook = time.Second
)

// DifferenceOf is a row that differs, as the API tells it.
func DifferenceOf(d projections.Difference) api.AuditDifference {
	told := api.AuditDifference{Table: d.Table, Kind: string(d.Kind), Key: make([]api.AuditKey, len(d.Key)), Columns: make([]api.AuditColumnDifference, len(d.Columns))}
	for i, k := range d.Key {
		told.Key[i] = api.AuditKey(k)
	}
	for i, c := range d.Columns {
		told.Columns[i] = api.AuditColumnDifference(c)
	}
	return told
}

// compareAudit compares views and audit with the log and answers with the rows that differ, each
// on a line, and the outcome. It takes as long as folding the log does.
func (a *API) compareAudit(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	ctx, stop := context.WithCancel(c.ctx())
	var under *underway
	defer func() {
		stop()
		if under != nil {
			<-under.ended
		}
	}()
	return a.export(c, document{
		name: "audit-compare", extension: ".jsonl", contentType: linesType, head: func(*bytes.Buffer) {},
		page: func(page context.Context, _ string, to *bytes.Buffer) (int, string, error) {
			if under == nil {
				under = a.beginComparing(ctx)
			}
			select {
			case <-under.ended:
			case <-time.After(compareLook):
				return 0, "go on", nil
			case <-page.Done():
				return 0, "", page.Err()
			}
			if under.err != nil {
				return 0, "", under.err
			}
			_, err := a.record(c, c.actor, events.AuditCompared{UpTo: under.done.UpTo, Differences: under.done.Differences, Tables: under.done.Tables})
			if err != nil {
				return 0, "", err
			}
			to.Write(under.lines.Bytes())
			return under.named + 1, "", json.NewEncoder(to).Encode(api.AuditComparison{Outcome: &api.AuditCompared{
				UpTo: uint64(under.done.UpTo), Differences: under.done.Differences, Named: under.named,
				Tables: append([]string{}, under.done.Tables...), Seconds: under.done.Took.Seconds(),
			}})
		},
	})
}

// underway is a comparison that somebody waits for. Everything else is to be read when it ended.
type underway struct {
	ended chan struct{}
	lines bytes.Buffer // of the rows that differ
	named int
	done  projections.Comparison
	err   error
}

// beginComparing begins one, which ends with ctx.
func (a *API) beginComparing(ctx context.Context) *underway {
	u := &underway{ended: make(chan struct{})}
	lines := json.NewEncoder(&u.lines)
	lines.SetEscapeHTML(false)
	go func() {
		defer close(u.ended)
		u.done, u.err = a.Compare(ctx, func(d projections.Difference) error {
			if u.lines.Len() > maxCompared {
				return nil // counted all the same
			}
			told := DifferenceOf(d)
			u.named++
			return lines.Encode(api.AuditComparison{Difference: &told})
		})
		if errors.Is(u.err, projections.ErrComparing) {
			u.err = errTooMany.because("the log is being compared with the views already; wait for that to end")
		}
	}()
	return u
}
