package command

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // zones are the same everywhere, whatever the host has

	"secretsbridge/events"
)

// How long what came up may be collected into one message.
const (
	MinDigest = time.Minute
	MaxDigest = 24 * time.Hour
)

// minutesOfDay is how many a day has that no clock is moved on.
const minutesOfDay = 24 * 60

// What can be wrong with how somebody wants to be told.
var (
	ErrChannel    = &Rejection{"channel_unknown", "the channel is email, slack, teams or none"}
	ErrMuted      = &Rejection{"notice_unknown", "mute only kinds of notices that there are, each once; `sb notices set --help` lists them"}
	ErrQuietHours = &Rejection{"quiet_hours_invalid", "quiet hours go from one time of the day to another one, in a zone such as Europe/Berlin"}
	ErrDigest     = &Rejection{"digest_invalid", fmt.Sprintf("collect notices for 0 seconds, or for %d to %d", int(MinDigest/time.Second), int(MaxDigest/time.Second))}
)

// ChooseNotices decides how somebody is told from now on.
func (u User) ChooseNotices(_ Meta, cmd events.NoticesChosen) ([]events.Fact, error) {
	switch err := u.exists(); {
	case err != nil:
		return nil, err
	case !cmd.Channel.Valid():
		return nil, ErrChannel
	case cmd.Quiet != nil && !validQuiet(*cmd.Quiet):
		return nil, ErrQuietHours
	case cmd.DigestSeconds != 0 && (cmd.DigestSeconds < int(MinDigest/time.Second) || cmd.DigestSeconds > int(MaxDigest/time.Second)):
		return nil, ErrDigest
	}
	for i, kind := range cmd.Muted {
		if !kind.Valid() || slices.Contains(cmd.Muted[:i], kind) {
			return nil, ErrMuted
		}
	}
	if u.Notices != nil && sameNotices(*u.Notices, cmd) {
		return nil, nil
	}
	return []events.Fact{cmd}, nil
}

func validQuiet(q events.QuietHours) bool {
	if q.From < 0 || q.From >= minutesOfDay || q.To < 0 || q.To >= minutesOfDay || q.From == q.To || q.Zone == "" || q.Zone == "Local" {
		return false // Local is another place on each server
	}
	_, err := time.LoadLocation(q.Zone)
	return err == nil
}

func sameNotices(a, b events.NoticesChosen) bool {
	quiet := func(n events.NoticesChosen) events.QuietHours {
		if n.Quiet == nil {
			return events.QuietHours{}
		}
		return *n.Quiet
	}
	return a.Channel == b.Channel && slices.Equal(a.Muted, b.Muted) && quiet(a) == quiet(b) && a.DigestSeconds == b.DigestSeconds
}

// AbandonNotice decides that somebody was not told. Whoever is erased by now is of no concern.
func (u User) AbandonNotice(_ Meta, cmd events.NoticeAbandoned) ([]events.Fact, error) {
	if u.exists() != nil {
		return nil, nil
	}
	return []events.Fact{cmd}, nil
}
