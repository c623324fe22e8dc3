package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/policy"
	"secretsbridge/seal"
)

const (
	// maxExportRows bounds a report as CSV: a spreadsheet takes 1,048,576.
	maxExportRows = 1_000_000

	// maxSignedExport bounds one that is signed. It is signed as a whole and so held as a
	// whole; a client takes 16 MiB (package web/api/client).
	maxSignedExport = 8 << 20

	// maxExports is how many one person may have under way.
	maxExports = 2

	// exportPart is about how long the parts are in which one is sent.
	exportPart = 64 << 10

	csvType = "text/csv; charset=utf-8; header=present" // RFC 4180, section 3
)

// long reports whether a call takes as long as its answer is: a report as CSV.
func long(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, Prefix+"/reports/") && r.URL.Query().Get("format") == "csv"
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
	name   string // of the file
	header []string

	// page returns what follows a cursor, and the next one.
	page func(ctx context.Context, cursor string) (rows [][]string, next string, err error)
}

// export answers with a table (RFC 4180). It is sent page by page as it is read. If
// something goes wrong on the way, the connection is cut, so that nobody takes a part for
// the whole.
func (a *API) export(c *call, t table) (reply, error) {
	if !a.exports.enter(c.person.ID) {
		return reply{}, errTooMany.because("two of your reports are under way already; wait for one of them")
	}
	defer a.exports.leave(c.person.ID)
	out := http.NewResponseController(c.w)
	if err := out.SetWriteDeadline(time.Time{}); err != nil { // each part gets one of its own
		return reply{}, err
	}
	var part bytes.Buffer
	lines := csv.NewWriter(&part)
	lines.UseCRLF = true
	_ = lines.Write(t.header) // to memory
	signed, begun, rows, looked := c.found.Key != (seal.VerifyKey{}), false, 0, time.Now()
	for cursor, first := "", true; first || cursor != ""; first = false {
		next, n, err := a.exportPage(c, t, cursor, lines)
		if cursor, rows = next, rows+n; err == nil && (rows > a.exportRows || signed && part.Len() > maxSignedExport) {
			err = errReportTooLong
		}
		if err == nil && time.Since(looked) > a.heartbeat {
			looked, err = time.Now(), c.mayStill(a.Sessions, policy.ReportRead)
		}
		if err == nil && !signed && part.Len() > exportPart {
			if !begun {
				c.exportHead(t)
				c.w.WriteHeader(http.StatusOK)
				begun = true
			}
			err = a.send(c, part.String())
			part.Reset()
		}
		switch {
		case err == nil:
		case begun:
			panic(http.ErrAbortHandler) // the status is gone; a cut is all that can be said
		default:
			return reply{}, err
		}
	}
	if begun {
		if a.send(c, part.String()) != nil {
			panic(http.ErrAbortHandler)
		}
		return reply{written: true}, nil
	}
	c.exportHead(t)
	return reply{status: http.StatusOK, raw: part.Bytes(), contentType: csvType}, out.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// exportPage writes what follows a cursor, and returns the next one.
func (a *API) exportPage(c *call, t table, cursor string, lines *csv.Writer) (next string, n int, err error) {
	select {
	case <-a.drained:
		return "", 0, errUnavailable
	default:
	}
	ctx, cancel := context.WithTimeout(c.ctx(), callPatience)
	defer cancel()
	rows, next, err := t.page(ctx, cursor)
	if err != nil {
		return "", 0, err
	}
	for _, row := range rows {
		for i := range row {
			row[i] = defused(row[i])
		}
		_ = lines.Write(row)
	}
	lines.Flush()
	return next, len(rows), nil
}

// mayStill is whether a caller who came in may go on.
func (c *call) mayStill(sessions Sessions, p policy.Permission) error {
	if err := c.authenticate(sessions); err != nil {
		return err
	}
	if !c.holds(p) {
		return errForbidden
	}
	return nil
}

func (c *call) exportHead(t table) {
	c.w.Header().Set("Content-Type", csvType)
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+t.name+"-"+c.now.UTC().Format(time.DateOnly)+`.csv"`)
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
