// Package siem writes facts of the log in the words of those who watch many systems: CloudEvents,
// OCSF and CEF, one record for each fact. It only writes; what carries records elsewhere is in its
// subpackages.
//
// Every record says where its fact stands in the log, by the sequence of its commit, its place in
// it, and the RFC 6962 hash of that leaf, so that whoever has the record can prove it later. It
// names people by their opaque ids only: a file outlives an erasure (decision 0131).
package siem

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// Record is one fact as it stands in the log.
type Record struct {
	Seq   events.Seq
	Place int      // in its commit, from 0
	Leaf  [32]byte // RFC 6962 hash of the commit's stored bytes
	Raw   []byte   // the event, as it is stored

	ID          events.EventID
	Type        string
	Stream      string
	Time        time.Time
	Actor       events.Actor
	Correlation events.CorrelationID
	Command     events.CommandID
	Data        json.RawMessage // as it is stored
}

// ErrNoCommit says that bytes are not what the log stores.
var ErrNoCommit = errors.New("not a stored commit")

// Records reads one stored commit. It needs to know none of the facts in it, so a newer version's
// are told as well.
func Records(seq events.Seq, commit []byte) ([]Record, error) {
	var batch []json.RawMessage
	if err := json.Unmarshal(commit, &batch); err != nil || len(batch) == 0 {
		return nil, fmt.Errorf("%w: commit %d", ErrNoCommit, seq)
	}
	leaf := [32]byte(transparency.LeafHash(commit))
	all := make([]Record, len(batch))
	for i, raw := range batch {
		r, err := Read(seq, i, leaf, raw)
		if err != nil {
			return nil, err
		}
		all[i] = r
	}
	return all, nil
}

// Read reads one stored event of a commit.
func Read(seq events.Seq, place int, leaf [32]byte, raw []byte) (Record, error) {
	var e struct {
		ID          events.EventID       `json:"id"`
		Type        string               `json:"type"`
		Subject     string               `json:"subject"`
		Time        time.Time            `json:"time"`
		Actor       events.Actor         `json:"actor"`
		Correlation events.CorrelationID `json:"correlation"`
		Command     events.CommandID     `json:"command"`
		Data        json.RawMessage      `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.Type == "" || !utf8.Valid(raw) {
		return Record{}, fmt.Errorf("%w: event %d of commit %d", ErrNoCommit, place, seq)
	}
	return Record{
		Seq: seq, Place: place, Leaf: leaf, Raw: raw, ID: e.ID, Type: e.Type, Stream: e.Subject, Time: e.Time.UTC(), Actor: e.Actor,
		Correlation: e.Correlation, Command: e.Command, Data: e.Data,
	}, nil
}

// Hash is the leaf hash as records have it: base64 of 32 bytes, as in proofs.
func (r Record) Hash() string { return base64.StdEncoding.EncodeToString(r.Leaf[:]) }

// Order is a text that sorts as the log does: the sequence in 20 digits, a dot, and the place in
// three. A commit has at most [events.MaxCommitEvents] events.
func (r Record) Order() string { return fmt.Sprintf("%020d.%03d", r.Seq, r.Place) }

// Denied reports whether the fact is something that somebody was kept from.
func (r Record) Denied() bool { return outcomes[r.Type] == events.OutcomeDenied }

var outcomes = map[string]events.Outcome{}

func init() {
	for _, t := range events.TypesOf(events.OutcomeDenied) {
		outcomes[t] = events.OutcomeDenied
	}
}

// cut shortens a text to so many bytes, at the beginning of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// Severity is from 1, what is done every day, to 4, what should wake somebody.
func (r Record) Severity() int { return tell(r).severity }
