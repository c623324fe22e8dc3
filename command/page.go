package command

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"secretsbridge/events"
)

// What can be wrong with a page of a scan.
var (
	ErrPageInvalid = &Rejection{"page_invalid", "a page has at most 500 different secrets, each with a ref that a request could have, labels and a version within the limits"}
	ErrPageOrder   = &Rejection{"page_out_of_order", "this is not the page that follows the last one"}
)

// MaxScanSecrets is how many different secrets one job over a connection may meet: ten times
// what is ordinary. An agent that lists without end must not fill the log.
const MaxScanSecrets = 1_000_000

// ErrScanTooLarge refuses a page of a job that has met as many as it may.
var ErrScanTooLarge = &Rejection{"scan_too_large", "the job met 1,000,000 secrets, and more are not taken; serve the store by several connections"}

// maxCount bounds what a page may say that it left out.
const maxCount = 1 << 30

// CheckPage reports whether a page is one that can be kept. Of who sent it and of its place
// it says nothing.
func CheckPage(m events.ScanPage) error {
	if len(m.Secrets) > events.MaxPageSecrets {
		return ErrPageInvalid.because("the page has more than 500 secrets")
	}
	seen := make(map[string]bool, len(m.Secrets))
	for _, s := range m.Secrets {
		switch {
		case checkRef(s.Ref) != nil:
			return ErrPageInvalid.because("a ref is none that a request could have")
		case seen[s.Ref]:
			return ErrPageInvalid.because("a ref is there twice")
		case !events.ValidLabels(s.Labels):
			return ErrPageInvalid.because("the labels of a secret are beyond the limits")
		case !validVersion(s.Version):
			return ErrPageInvalid.because("a version is beyond the limits")
		case !plausible(s.Created.Year()) || !plausible(s.Updated.Year()):
			return ErrPageInvalid.because("a time is none")
		}
		seen[s.Ref] = true
	}
	return checkPlace(m.Number, m.Skipped, m.Unlisted, m.Cursor)
}

// CheckPrints does the same for a page of fingerprints.
func CheckPrints(m events.FingerprintPage) error {
	if len(m.Secrets) > events.MaxPageSecrets || !lowerHex(m.KeyID, 16) {
		return ErrPageInvalid
	}
	seen := make(map[string]bool, len(m.Secrets))
	for _, s := range m.Secrets {
		if checkRef(s.Ref) != nil || seen[s.Ref] || !validVersion(s.Version) || s.Refused < 0 || s.Refused > maxCount {
			return ErrPageInvalid
		}
		seen[s.Ref] = true
		for _, print := range s.Prints {
			if !lowerHex(print, 64) {
				return ErrPageInvalid.because("a fingerprint is no HMAC-SHA256 in hexadecimal")
			}
		}
	}
	return checkPlace(m.Number, m.Skipped, m.Unlisted, m.Cursor)
}

func checkPlace(number, skipped, unlisted int, cursor string) error {
	switch {
	case number < 1 || number > maxCount || skipped < 0 || skipped > maxCount || unlisted < 0 || unlisted > maxCount:
		return ErrPageInvalid.because("a number is out of range")
	case len(cursor) > events.MaxCursor || strings.ContainsFunc(cursor, func(c rune) bool { return c < ' ' || c > '~' }):
		return ErrPageInvalid.because("the cursor is not printable, or longer than 4 KiB")
	}
	return nil
}

// plausible reports whether a year can be written down (RFC 3339); the zero time has one.
func plausible(year int) bool { return year >= 1 && year <= 9999 }

func lowerHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}

// MaxKeyNames and MaxKeyNamesBytes bound what a job for key names may tell.
const (
	MaxKeyNames      = 1000
	MaxKeyNamesBytes = 64 << 10
)

// CheckKeyNames reports whether names are those of a secret's keys.
func CheckKeyNames(names []string) error {
	total := 0
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || seen[name] {
			return ErrOutcomeInvalid
		}
		seen[name] = true
		total += len(name)
	}
	if len(names) > MaxKeyNames || total > MaxKeyNamesBytes {
		return ErrOutcomeInvalid
	}
	return nil
}

// InventoryPage is the history of one page of a scan: how many secrets all tries of it
// together say are found, changed and gone.
type InventoryPage struct {
	Found   int
	Changed int
	Gone    int
	taken   taken
}

// Evolve implements [State].
func (p InventoryPage) Evolve(e events.Event) InventoryPage {
	p.taken = p.taken.with(e.Command)
	switch f := e.Fact.(type) {
	case events.SecretsFound:
		p.Found += len(f.Secrets)
	case events.SecretsChanged:
		p.Changed += len(f.Secrets)
	case events.SecretsGone:
		p.Gone += len(f.Refs)
	}
	return p
}

// Took implements [State].
func (p InventoryPage) Took(id events.CommandID) bool { return p.taken.has(id) }

// Known tells of a listed secret whether the inventory has it now, and whether it says the same of
// it: labels that are empty and none are the same, and so are times of one microsecond.
type Known func(connection events.ConnectionID, listed events.SecretMetadata) (there, same bool)

// Compare says what is new about listed secrets.
func (p InventoryPage) Compare(scan events.JobID, connection events.ConnectionID, listed []events.SecretMetadata, known Known) []events.Fact {
	found := events.SecretsFound{Scan: scan, Connection: connection}
	changed := events.SecretsChanged{Scan: scan, Connection: connection}
	for _, s := range listed {
		switch there, same := known(connection, s); {
		case !there:
			found.Secrets = append(found.Secrets, s)
		case !same:
			changed.Secrets = append(changed.Secrets, s)
		}
	}
	var facts []events.Fact
	if len(found.Secrets) > 0 {
		facts = append(facts, found)
	}
	if len(changed.Secrets) > 0 {
		facts = append(facts, changed)
	}
	return facts
}
