package siem

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"secretsbridge/events"
)

// Format is how records are written. No record has a line break in it.
type Format string

// The formats.
const (
	CloudEvents Format = "cloudevents" // JSON, the stored event and three more attributes
	OCSF        Format = "ocsf"        // JSON of OCSF 1.6.0
	CEF         Format = "cef"         // ArcSight Common Event Format
)

// Formats are all there are.
var Formats = []Format{CloudEvents, OCSF, CEF}

// Valid reports whether f is one of them.
func (f Format) Valid() bool { return f == CloudEvents || f == OCSF || f == CEF }

// JSON reports whether a record is one JSON object.
func (f Format) JSON() bool { return f != CEF }

// MinRecord is the least number of bytes that a record may be bounded to: what is not data always
// fits into as much.
const MinRecord = 4096

// ErrBound says that a record cannot be made that short.
var ErrBound = errors.New("a record does not fit into its bound")

// Append writes a record behind what is there, without a line end. A record longer than most bytes
// loses its data and says so; 0 is no bound. Errors: [ErrBound], for one below [MinRecord].
func (f Format) Append(to []byte, r Record, most int) ([]byte, error) {
	write := map[Format]func(Record, bool) ([]byte, error){CloudEvents: cloudEvent, OCSF: ocsf}[f]
	if f == CEF {
		line := cefOf(r, maxCustom)
		for data := maxCustom; most > 0 && len(line) > most && data > 0; {
			data = max(0, min(data, len(r.Data))-(len(line)-most))
			line = cefOf(r, data)
		}
		return bounded(to, line, most)
	}
	if write == nil {
		return to, fmt.Errorf("%q is no format of records", f)
	}
	whole, err := write(r, false)
	if err == nil && most > 0 && len(whole) > most {
		whole, err = write(r, true)
	}
	if err != nil {
		return to, fmt.Errorf("write event %d.%d as %s: %w", r.Seq, r.Place, f, err)
	}
	return bounded(to, whole, most)
}

func bounded(to, record []byte, most int) ([]byte, error) {
	if most > 0 && len(record) > most {
		return to, fmt.Errorf("%w: %d bytes of %d", ErrBound, len(record), most)
	}
	return append(to, record...), nil
}

// At reads where a record stands in the log.
func (f Format) At(record []byte) (seq events.Seq, place int, err error) {
	var text string
	switch f {
	case CEF:
		rest, _ := strings.CutPrefix(extension(string(record)), "cn1=")
		one, rest, _ := strings.Cut(rest, " cn1Label=sequence cn2=")
		two, _, _ := strings.Cut(rest, " ")
		text = one + "." + two
	default:
		var m struct {
			Sequence string `json:"sequence"`
			Metadata struct {
				Sequence json.Number `json:"sequence"`
			} `json:"metadata"`
			Unmapped struct {
				Place json.Number `json:"place"`
			} `json:"unmapped"`
		}
		if err := json.Unmarshal(record, &m); err != nil {
			return 0, 0, fmt.Errorf("read a record: %w", err)
		}
		if text = m.Sequence; f == OCSF {
			text = m.Metadata.Sequence.String() + "." + m.Unmapped.Place.String()
		}
	}
	one, two, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(one, 10, 63)
	if err == nil {
		place, err = strconv.Atoi(two)
	}
	if err != nil || n == 0 || place < 0 {
		return 0, 0, fmt.Errorf("a record says not where it stands: %q", cut(text, 60))
	}
	return events.Seq(n), place, nil
}
