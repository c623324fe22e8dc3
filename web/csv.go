package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

const (
	// maxExportRows bounds a report as CSV, and one answer with the audit: a spreadsheet takes
	// 1,048,576.
	maxExportRows = 1_000_000

	// maxExports is how many one person may have under way.
	maxExports = 2

	// maxSignedExport bounds one that is signed, in bytes: it is signed as a whole, and so
	// held as a whole. maxHeld is how many of those a server holds, and signedPatience how
	// long a caller may take for one.
	maxSignedExport = 64 << 20
	maxHeld         = 4
	signedPatience  = 5 * time.Minute

	// exportPart is about how long the parts are in which one is sent.
	exportPart = 64 << 10

	csvType = "text/csv; charset=utf-8; header=present" // RFC 4180, section 3
)

// long reports whether a call takes as long as its answer is: a report as CSV, or the audit, or
// comparing it, or a support bundle.
func long(r *http.Request) bool {
	return r.URL.Path == Prefix+"/audit/export" || r.URL.Path == Prefix+"/audit/compare" || r.URL.Path == Prefix+"/support/bundle" || strings.HasPrefix(r.URL.Path, Prefix+"/reports/") && r.URL.Query().Get("format") == "csv"
}

// asCSV reads whether a report comes as CSV: whole, without pages.
func asCSV(q url.Values) (bool, error) {
	switch q.Get("format") {
	case "", "json":
		return false, nil
	case "csv":
		if q.Has("cursor") || q.Has("limit") {
			return false, errParameter.because("as CSV a report comes whole, without cursor and limit")
		}
		return true, nil
	}
	return false, errParameter.because("format is json or csv")
}

// table is a report as CSV.
type table struct {
	name    string   // of the file, and of the report
	filters []string // names of the parameters that it was narrowed by, sorted
	header  []string

	// page returns what follows a cursor, and the next one.
	page func(ctx context.Context, cursor string) (rows [][]string, next string, err error)
}

// document is the table as CSV (RFC 4180).
func (t table) document() document {
	write := func(to *bytes.Buffer, rows ...[]string) {
		lines := csv.NewWriter(to)
		lines.UseCRLF = true
		_ = lines.WriteAll(rows) // to memory
	}
	return document{
		name: t.name, extension: ".csv", contentType: csvType, fact: events.ReportExported{Report: t.name, Filters: t.filters},
		head: func(to *bytes.Buffer) { write(to, t.header) },
		page: func(ctx context.Context, cursor string, to *bytes.Buffer) (int, string, error) {
			rows, next, err := t.page(ctx, cursor)
			for _, row := range rows {
				for i := range row {
					row[i] = defused(row[i])
				}
			}
			if err == nil {
				write(to, rows...)
			}
			return len(rows), next, err
		},
	}
}

// document is what is sent as it is read.
type document struct {
	name, extension, contentType string
	head                         func(to *bytes.Buffer)

	// fact says that somebody takes it with them. It is stored before the first part is sent; nil:
	// page stores one itself, before it writes anything.
	fact events.Fact

	// page writes what follows a cursor, and returns how many rows that is and the next cursor.
	page func(ctx context.Context, cursor string, to *bytes.Buffer) (rows int, next string, err error)
}

// export answers with a document. It is sent page by page as it is read. If something goes wrong
// on the way, the connection is cut, so that nobody takes a part for the whole. An answer that is
// signed is kept until it is whole, so it can still become a problem.
func (a *API) export(c *call, d document) (reply, error) {
	if !a.exports.enter(c.person.ID) {
		return reply{}, errTooMany.because("two of your reports are under way already; wait for one of them")
	}
	defer a.exports.leave(c.person.ID)
	kept := signingOf(c.r.Context())
	send, patience := a.send, time.Duration(0)
	if kept != nil {
		if !a.held.enter("") {
			return reply{}, errTooMany.because("the server makes as many signed reports as it can; try again in a moment")
		}
		kept.sent = func() { a.held.leave("") }
		send, patience = c.keep, signedPatience
	}
	// Each part gets a deadline of its own, or the whole one, once it is there.
	out := http.NewResponseController(c.w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil {
		return reply{}, err
	}
	begun, err := a.exportParts(c, d, send)
	switch {
	case err == nil && patience > 0:
		return reply{written: true}, out.SetWriteDeadline(time.Now().Add(patience))
	case err == nil:
		return reply{written: true}, nil
	case begun && kept == nil:
		panic(http.ErrAbortHandler) // the status is gone; a cut is all that can be said
	case begun:
		kept.discard()
	}
	return reply{}, errors.Join(err, out.SetWriteDeadline(time.Now().Add(writeTimeout)))
}

// keep puts a part into an answer that is signed when it is whole.
func (c *call) keep(_ *call, part string) error {
	if kept := signingOf(c.r.Context()); kept.body.Len()+len(part) > maxSignedExport {
		return errReportTooLong
	}
	_, err := io.WriteString(c.w, part)
	return err
}

// exportParts writes everything, and reports whether it began to.
func (a *API) exportParts(c *call, d document, send func(*call, string) error) (begun bool, err error) {
	var part bytes.Buffer
	d.head(&part)
	rows, looked := 0, time.Now()
	for cursor, first := "", true; first || cursor != ""; first = false {
		n, next, err := a.exportPage(c, d, cursor, &part)
		if cursor, rows = next, rows+n; err == nil && rows > a.exportRows {
			err = errReportTooLong
		}
		if err == nil && time.Since(looked) > a.heartbeat {
			looked, err = time.Now(), a.mayStill(c)
		}
		if err != nil {
			return begun, err
		}
		if cursor != "" && part.Len() < exportPart {
			continue
		}
		if !begun {
			if d.fact != nil {
				if _, err := a.record(c, c.actor, d.fact); err != nil {
					return false, err
				}
			}
			begun = true
			c.w.Header().Set("Content-Type", d.contentType)
			c.w.Header().Set("Content-Disposition", `attachment; filename="`+d.name+"-"+c.now.UTC().Format(time.DateOnly)+d.extension+`"`)
			c.w.WriteHeader(http.StatusOK)
		}
		if err := send(c, part.String()); err != nil {
			return begun, err
		}
		part.Reset()
	}
	return begun, nil
}

// exportPage writes what follows a cursor, and returns the next one.
func (a *API) exportPage(c *call, d document, cursor string, to *bytes.Buffer) (rows int, next string, err error) {
	select {
	case <-a.drained:
		return 0, "", errUnavailable
	default:
	}
	if err := a.permit(c); err != nil { // what is lost on the way is in no later page
		return 0, "", err
	}
	ctx, cancel := context.WithTimeout(c.ctx(), callPatience)
	defer cancel()
	return d.page(ctx, cursor, to)
}

// defused makes a text of what a spreadsheet would take for a formula: a name or a label
// is written by whoever made the secret (OWASP, CSV injection; the last four are what
// some spreadsheets take for the first ones).
func defused(cell string) string {
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + cell
	}
	return cell
}
