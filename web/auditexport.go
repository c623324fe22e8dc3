package web

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

const linesType = "application/x-ndjson" // one JSON object a line

// exportAudit answers with facts as they are stored, oldest first, each on a line. It names nobody:
// a file outlives an erasure. That somebody takes it with them is a fact before the first line is
// sent.
func (a *API) exportAudit(c *call) (reply, error) {
	q, err := c.query(slices.Concat(auditFilters, []string{"after", "limit"})...)
	if err != nil {
		return reply{}, err
	}
	filter, err := auditFilter(q)
	if err != nil {
		return reply{}, err
	}
	if filter.Cursor, err = afterOf(q); err != nil {
		return reply{}, err
	}
	left, err := numberOf(q, "limit", maxExportRows)
	if err != nil {
		return reply{}, err
	}
	if left == 0 {
		left = maxExportRows
	}
	first := true
	return a.export(c, document{
		name: "audit", extension: ".jsonl", contentType: linesType, head: func(*bytes.Buffer) {},
		fact: events.AuditExported{Filters: slices.Sorted(maps.Keys(q))},
		page: func(ctx context.Context, cursor string, to *bytes.Buffer) (int, string, error) {
			if first {
				first, cursor = false, filter.Cursor
			}
			part := filter
			part.Cursor, part.Limit = cursor, min(left, projections.MaxLimit)
			found, err := a.Views.ExportAudit(ctx, part)
			if err != nil {
				return 0, "", err
			}
			lines := json.NewEncoder(to)
			lines.SetEscapeHTML(false)
			for _, e := range found.Items {
				if err := lines.Encode(eventOf(e)); err != nil {
					return 0, "", err
				}
			}
			if left -= len(found.Items); left == 0 {
				found.Next = ""
			}
			return len(found.Items), found.Next, nil
		},
	})
}

// afterOf reads after which event to go on, SEQ.INDEX, or after which commit, SEQ.
func afterOf(q url.Values) (cursor string, err error) {
	if !q.Has("after") {
		return "", nil
	}
	text, index, one := strings.Cut(q.Get("after"), ".")
	seq, err := strconv.ParseInt(text, 10, 64)
	place := int64(math.MaxInt32)
	if err == nil && one {
		place, err = strconv.ParseInt(index, 10, 32)
	}
	if err != nil || seq < 0 || place < 0 {
		return "", errParameter.because("after is the seq of a fact, or its seq, a dot and its index")
	}
	return projections.AuditAfter(events.Seq(seq), int(place)), nil
}

// eventOf shows a fact as it is stored.
func eventOf(e projections.AuditEvent) api.Event {
	return api.Event{
		Seq: uint64(e.Seq), Index: e.Place, ID: string(e.ID), Type: e.Type, Stream: e.Stream, Time: e.Time, Actor: string(e.Actor),
		Correlation: string(e.Correlation), Command: string(e.Command), Data: e.Data,
	}
}
