package projections

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// AuditFilter narrows what is read of the audit. Zero fields do not; together they all must hold.
type AuditFilter struct {
	Actor       events.Actor
	TypePrefix  string // such as "sb.request."
	Stream      events.Stream
	Correlation events.CorrelationID
	Command     events.CommandID
	Outcome     events.Outcome
	Since       time.Time // inclusive
	Until       time.Time // exclusive

	// Connection and Ref name a secret: what is in the histories of requests for it, of jobs
	// that told the names of its keys, and of the secret itself. Pages of scans, which name
	// hundreds, are not there, nor are denials, which name routes.
	Connection events.ConnectionID
	Ref        string

	// Store is a connection: what is in its history, in those of requests, jobs and scans of it, and
	// of its secrets.
	Store events.ConnectionID

	// Action is what somebody tried who was denied: a permission, or a service of agents. Only
	// denials have one.
	Action string

	// Cluster is that of agents, connections, requests and jobs.
	Cluster events.ClusterID

	// Text is in the type, stream, actor or correlation, or in any text of the data, in upper
	// or lower case.
	Text string

	Cursor string
	Limit  int // at most [MaxLimit]
}

// auditSearch is a filter, ready to be put into statements about events e. What indexes serve is
// asked first; the rest, late, is asked of so many events that those find, with their commits c
// if words is set.
type auditSearch struct {
	query
	early int // arguments of what is asked first
	late  []string
	words bool
}

// search checks a filter, and adds where a list goes on. Errors: [ErrShortText].
func (f AuditFilter) search(on string, at ...any) (auditSearch, error) {
	var s auditSearch
	if f.Actor != "" {
		s.and("e.actor = ?", f.Actor)
	}
	if f.TypePrefix != "" {
		s.and("e.type LIKE ?", strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.TypePrefix)+"%")
	}
	if f.Stream != (events.Stream{}) {
		s.and("e.stream = ?", f.Stream.String())
	}
	if f.Correlation != "" {
		s.and("e.correlation = ?", f.Correlation)
	}
	if f.Command != "" {
		s.and("e.command = ?", f.Command)
	}
	if f.Action != "" {
		s.and("e.type = ?", denied)
	}
	switch f.Outcome {
	case events.OutcomeDenied:
		s.and("e.type = ANY (?)", events.TypesOf(events.OutcomeDenied))
	case events.OutcomeDone: // also what a newer version wrote
		s.and("e.type <> ALL (?)", events.TypesOf(events.OutcomeDenied))
	}
	if !f.Since.IsZero() {
		s.and("e.time >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		s.and("e.time < ?", f.Until)
	}
	if f.Ref != "" {
		s.and(ofSecret, f.Connection, f.Ref, f.Ref, events.SecretStream(events.SecretOf(f.Connection, f.Ref)).String(), events.SecretOf(f.Connection, f.Ref))
	}
	if on != "" {
		s.and(on, at...)
	}
	s.early = len(s.args)
	if f.Cluster != "" {
		s.after(ofCluster, f.Cluster, f.Cluster, f.Cluster, f.Cluster)
	}
	if f.Store != "" {
		s.after(ofStore, f.Store, f.Store, f.Store, f.Store, f.Store)
	}
	if f.Action != "" {
		s.after(hasAction, quote(f.Action), nul, f.Action)
		s.words = true
	}
	if f.Text == "" {
		return s, nil
	}
	if utf8.RuneCountInString(f.Text) < MinText {
		return s, ErrShortText
	}
	quoted := quote(f.Text)
	s.after(hasText, f.Text, quoted[1:len(quoted)-1], nul, `$.** ? (@ like_regex `+quoted+` flag "iq")`)
	s.words = true
	return s, nil
}

// after adds a condition that no index serves.
func (s *auditSearch) after(condition string, args ...any) {
	s.and(condition, args...)
	last := len(s.where) - 1
	s.where, s.late = s.where[:last], append(s.late, s.where[last])
}

const ofSecret = `e.stream IN (
		SELECT 'request/' || r.id
		FROM   views.requests r
		WHERE  r.connection = ?
		AND    md5(r.ref) = md5(?::text)
		AND    r.ref = ?
		UNION  ALL
		SELECT ?::text
		UNION  ALL
		SELECT 'job/' || j.id
		FROM   views.jobs j
		WHERE  j.secret = ?
		AND    j.secret <> ''
	)`

const ofCluster = `CASE split_part(e.stream, '/', 1)
		WHEN 'agent' THEN EXISTS (SELECT FROM views.agents v WHERE v.id = split_part(e.stream, '/', 2) AND v.cluster = ?)
		WHEN 'connection' THEN EXISTS (SELECT FROM views.connections v WHERE v.name = split_part(e.stream, '/', 2) AND v.cluster = ?)
		WHEN 'request' THEN EXISTS (SELECT FROM views.requests v WHERE v.id = split_part(e.stream, '/', 2) AND v.cluster = ?)
		WHEN 'job' THEN EXISTS (SELECT FROM views.jobs v WHERE v.id = split_part(e.stream, '/', 2) AND v.cluster = ?)
		ELSE false
	END`

// A page of a scan is named for its job and a number, and one of what is gone has a word between.
const ofStore = `CASE split_part(e.stream, '/', 1)
		WHEN 'connection' THEN split_part(e.stream, '/', 2) = ?
		WHEN 'request' THEN EXISTS (SELECT FROM views.requests v WHERE v.id = split_part(e.stream, '/', 2) AND v.connection = ?)
		WHEN 'job' THEN EXISTS (SELECT FROM views.jobs v WHERE v.id = split_part(e.stream, '/', 2) AND v.connection = ?)
		WHEN 'inventory' THEN EXISTS (SELECT FROM views.jobs v WHERE v.id = split_part(split_part(e.stream, '/', 2), '-', 1) AND v.connection = ?)
		WHEN 'secret' THEN EXISTS (SELECT FROM views.secrets v WHERE v.id = split_part(e.stream, '/', 2) AND v.connection = ?)
		ELSE false
	END`

// denied is the type of facts that have an action.
const denied = "sb.access.denied.v1"

// hasAction looks through the bytes of a commit first, as hasText does.
const hasAction = `CASE WHEN strpos(convert_from(c.raw, 'UTF8'), '"action":' || ?::text) > 0
			THEN regexp_replace(convert_from(c.raw, 'UTF8'), ?, '\1\ufffd', 'g')::jsonb -> e.place -> 'data' ->> 'action' = ?::text
			ELSE false
		END`

// hasText looks through the bytes of a commit first: most do not have the text at all. Those that
// do may have it as the name of a field, or in another event. Postgres reads no NUL.
const hasText = `(
		strpos(lower(concat_ws(' ', e.type, e.stream, e.actor, e.correlation)), lower(?)) > 0
		OR CASE WHEN strpos(lower(convert_from(c.raw, 'UTF8')), lower(?)) > 0
			THEN jsonb_path_exists(regexp_replace(convert_from(c.raw, 'UTF8'), ?, '\1\\ufffd', 'g')::jsonb -> e.place -> 'data', ?::text::jsonpath)
			ELSE false
		END
	)`

// nul is how JSON escapes what no text of Postgres has; behind an odd number of backslashes it is
// just that.
const nul = `(?<!\\)((\\\\)*)\\u0000`

// quote writes a text as facts have it (package events), which is also how jsonpath wants it.
func quote(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // to memory
	return strings.TrimSuffix(b.String(), "\n")
}
