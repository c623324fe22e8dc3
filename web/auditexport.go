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
	"secretsbridge/siem"
	"secretsbridge/web/api"
)

const (
	linesType = "application/x-ndjson" // one JSON object a line
	plainType = "text/plain; charset=utf-8"
)

// recorded is what an export is in one format.
type recorded struct {
	extension, contentType string
	write                  func(to *bytes.Buffer, e projections.AuditEvent) error
}

// formatOf is what lines of an export are: events as the API shows them, or records for those who
// watch many systems (package siem).
func formatOf(q url.Values) (recorded, error) {
	format := siem.Format(q.Get("format"))
	switch {
	case !q.Has("format") || format == "event":
		return recorded{".jsonl", linesType, func(to *bytes.Buffer, e projections.AuditEvent) error {
			lines := json.NewEncoder(to)
			lines.SetEscapeHTML(false)
			return lines.Encode(eventOf(e))
		}}, nil
	case !format.Valid():
		return recorded{}, errParameter.because("format is event, cloudevents, ocsf or cef")
	}
	as := recorded{"." + string(format) + ".jsonl", linesType, func(to *bytes.Buffer, e projections.AuditEvent) error {
		r, err := siem.Read(e.Seq, e.Place, [32]byte(e.Hash), e.Raw)
		if err != nil {
			return err
		}
		line, err := format.Append(to.AvailableBuffer(), r, 0)
		to.Write(append(line, '\n'))
		return err
	}}
	if !format.JSON() {
		as.extension, as.contentType = "."+string(format), plainType
	}
	return as, nil
}

// exportAudit answers with facts, oldest first, each on a line. It names nobody: a file outlives an
// erasure. That somebody takes it with them is a fact before the first line is sent; whoever reads
// on with follow leaves one for each ten minutes.
func (a *API) exportAudit(c *call) (reply, error) {
	q, err := c.query(slices.Concat(auditFilters, []string{"format", "follow", "after", "limit"})...)
	if err != nil {
		return reply{}, err
	}
	filter, err := auditFilter(q)
	if err != nil {
		return reply{}, err
	}
	as, err := formatOf(q)
	if err != nil {
		return reply{}, err
	}
	follows, err := boolOf(q, "follow")
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
		name: "audit", extension: as.extension, contentType: as.contentType, head: func(*bytes.Buffer) {},
		page: func(ctx context.Context, cursor string, to *bytes.Buffer) (int, string, error) {
			if first {
				if err := a.takes(c, q, follows); err != nil {
					return 0, "", err
				}
				first, cursor = false, filter.Cursor
			}
			part := filter
			part.Cursor, part.Limit = cursor, min(left, projections.MaxLimit)
			found, err := a.Views.ExportAudit(ctx, part)
			if err != nil {
				return 0, "", err
			}
			for _, e := range found.Items {
				if err := as.write(to, e); err != nil {
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

// takes puts an export on record. What follows the log leaves facts that it meets itself, so it
// must not leave one for each look.
func (a *API) takes(c *call, q url.Values, follows bool) error {
	fact := events.AuditExported{Filters: slices.Sorted(maps.Keys(q))}
	if !follows {
		_, err := a.record(c, c.actor, fact)
		return err
	}
	same := maps.Clone(q)
	same.Del("after")
	same.Del("limit")
	return a.begins(c, "export "+same.Encode(), fact)
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
