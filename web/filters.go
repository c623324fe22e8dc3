package web

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// Parameters that may come more than once, and those whose empty value means something.
var (
	repeated = []string{"state", "review", "label", "witness"}
	empty    = []string{"owner", "environment"}
)

// maxParameter is how many bytes the value of a parameter may have, and longest are those
// of whom it is not true. A label is its name, each byte behind a backslash, a colon and
// its value; what is shorter in the end is refused where it is read.
const maxParameter = 256

var longest = map[string]int{
	"connection": 40, "cluster": 40, "project": 40, "type": 128, "correlation": 128, "actor": 128, "requester": 28,
	"prefix": command.MaxRef, asOfParameter: 40, "secret": 41 + command.MaxRef, "after": 30, "text": events.MaxLabelValue, "owner": events.MaxLabelValue, "environment": events.MaxLabelValue,
	"label": 2*events.MaxLabelName + 1 + events.MaxLabelValue,
}

// query reads the parameters. One that the route does not know is refused, and so is
// one without a value, or twice where it is no list, or of text that is none.
func (c *call) query(known ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, errParameter.because("the query string is malformed")
	}
	for name, values := range q {
		if len(known) == 0 {
			return nil, errParameter.because("this call takes no parameter")
		}
		if !slices.Contains(known, name) {
			return nil, errParameter.because("this call takes only " + strings.Join(known, ", "))
		}
		if slices.ContainsFunc(values, func(v string) bool { return v == "" && !slices.Contains(empty, name) || !storable(v) }) {
			return nil, errParameter.because(name + " has no value, or one that is no text")
		}
		if len(values) > 1 && !slices.Contains(repeated, name) || (name == "state" || name == "review") && twice(values) {
			return nil, errParameter.because(name + " is there twice")
		}
		most, ok := longest[name]
		if !ok {
			most = maxParameter
		}
		if slices.ContainsFunc(values, func(v string) bool { return len(v) > most }) {
			return nil, errParameter.because(fmt.Sprintf("%s has at most %d bytes", name, most))
		}
	}
	return q, nil
}

// twice reports whether a value is there again: what has only so many values has an end.
func twice(values []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(values)))) < len(values)
}

// storable reports whether Postgres takes a text: valid UTF-8 without NUL.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// secretFilters are the parameters that narrow lists of secrets.
var secretFilters = []string{
	"label", "prefix", "provider", "cluster", "connection", "status", "owner", "environment", "older_than_days", "text",
}

// inventoryFilter is the filter of a list of secrets: of those that are there, unless told.
func (c *call) inventoryFilter(q url.Values) (projections.SecretFilter, error) {
	filter, err := c.secretFilter(q)
	if !q.Has("status") {
		filter.Status = projections.SecretPresent
	}
	return filter, err
}

// allStatus asks for secrets whether they are there or not.
const allStatus = "all"

// maxDays bounds an age. It is a century; the oldest secret is younger.
const maxDays = 36_500

// secretFilter reads those of them that are there, where the caller has the route's permission.
func (c *call) secretFilter(q url.Values) (projections.SecretFilter, error) {
	filter := projections.SecretFilter{Within: c.within(c.route.Permission), Prefix: q.Get("prefix"), Text: q.Get("text")}
	if err := placeOf(q, &filter.Connection, &filter.Cluster, &filter.Provider); err != nil {
		return filter, err
	}
	switch status := q.Get("status"); status {
	case "", allStatus:
	case string(projections.SecretPresent), string(projections.SecretGone):
		filter.Status = projections.SecretStatus(status)
	default:
		return filter, errParameter.because("status is present, gone or all")
	}
	if q.Has("text") && utf8.RuneCountInString(filter.Text) < projections.MinText {
		return filter, errParameter.because(fmt.Sprintf("text has at least %d characters", projections.MinText))
	}
	for name, into := range map[string]**string{"owner": &filter.Owner, "environment": &filter.Environment} {
		if !q.Has(name) {
			continue
		}
		value := q.Get(name)
		*into = &value
	}
	days, err := numberOf(q, "older_than_days", maxDays)
	if err != nil {
		return filter, err
	}
	if days > 0 {
		filter.OlderThan = c.now.AddDate(0, 0, -days)
	}
	filter.Labels, err = labelsOf(q["label"])
	return filter, err
}

// placeOf reads where secrets are.
func placeOf(q url.Values, connection *events.ConnectionID, cluster *events.ClusterID, provider *events.ProviderKind) error {
	for _, name := range []string{"connection", "cluster"} {
		if q.Has(name) && !events.ValidName(q.Get(name)) {
			return errParameter.because(name + " is 1 to 40 of a-z, 0-9 and -, beginning with a letter")
		}
	}
	*connection, *cluster, *provider = events.ConnectionID(q.Get("connection")), events.ClusterID(q.Get("cluster")), events.ProviderKind(q.Get("provider"))
	if *provider != "" && !provider.Valid() {
		return errParameter.because(command.ErrProviderUnknown.Detail)
	}
	return nil
}

// labelsOf reads labels, each NAME:VALUE. All of them must hold, so a name is there once.
func labelsOf(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	if len(texts) > events.MaxLabels {
		return nil, errParameter.because(fmt.Sprintf("at most %d labels are asked for at a time", events.MaxLabels))
	}
	labels := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := cutLabel(text)
		switch _, twice := labels[name]; {
		case !ok:
			return nil, errParameter.because(`label is NAME:VALUE; a colon in the name is written \:`)
		case len(name) > events.MaxLabelName || len(value) > events.MaxLabelValue:
			return nil, errParameter.because(fmt.Sprintf("a label has a name of at most %d and a value of at most %d bytes", events.MaxLabelName, events.MaxLabelValue))
		case twice:
			return nil, errParameter.because("a label is asked for twice; a secret has one value of each")
		}
		labels[name] = value
	}
	return labels, nil
}

// cutLabel cuts at the first colon that no backslash stands before. In the name \: is a
// colon and \\ a backslash; before anything else a backslash stands for itself. The value
// is as it is: it may hold anything, or nothing.
func cutLabel(text string) (name, value string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == ':' {
			return b.String(), text[i+1:], b.Len() > 0
		}
		if next := i + 1; text[i] == '\\' && next < len(text) && (text[next] == ':' || text[next] == '\\') {
			i = next
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

func limitOf(q url.Values) (int, error) {
	return numberOf(q, "limit", projections.MaxLimit)
}

// numberOf reads a number from 1 on; 0 is none.
func numberOf(q url.Values, name string, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, errParameter.because(fmt.Sprintf("%s is 1 to %d", name, most))
	}
	return n, nil
}

func boolOf(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, errParameter.because(name + " is true or false")
}

func timeOf(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errParameter.because(name + " is a time such as 2026-11-24T09:30:00Z")
	}
	return at, nil
}
