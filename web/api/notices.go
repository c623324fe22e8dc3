package api

import "time"

// Notices are how somebody is told what happens.
type Notices struct {
	Channel       string      `json:"channel"`
	Host          string      `json:"host,omitempty"` // of the address of slack and teams, which is never shown
	Muted         []string    `json:"muted"`
	Quiet         *QuietHours `json:"quiet,omitempty"`
	DigestSeconds int         `json:"digest_seconds"`
	Usable        bool        `json:"usable"` // something can be sent there
}

// ChooseNotices replaces how one is told.
type ChooseNotices struct {
	Channel       string      `json:"channel"`
	URL           string      `json:"url,omitempty"` // of slack and teams; unless given, the one from before stays
	Muted         []string    `json:"muted,omitempty"`
	Quiet         *QuietHours `json:"quiet,omitempty"`
	DigestSeconds int         `json:"digest_seconds,omitempty"`
}

// QuietHours are from one time of the day to another, such as 22:00, exclusive.
type QuietHours struct {
	From string `json:"from"`
	To   string `json:"to"`
	Zone string `json:"zone"`
}

// Delivery is what became of one notice to one recipient.
type Delivery struct {
	ID       string     `json:"id"`
	Notice   string     `json:"notice"`
	At       time.Time  `json:"at"` // when it came up
	Request  string     `json:"request,omitempty"`
	State    string     `json:"state"`
	Attempts int        `json:"attempts"`
	Code     string     `json:"code,omitempty"`     // of the last attempt, if it did not succeed
	NextAt   *time.Time `json:"next_at,omitempty"`  // of one that waits
	EndedAt  *time.Time `json:"ended_at,omitempty"` // of all others
	Message  string     `json:"message,omitempty"`  // the one that it went out in, with others
}

// Queued is a message that will be sent.
type Queued struct {
	ID string `json:"id"`
}
