package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// asOfParameter asks for something as it was. A sequence is that of the last commit that counts; a
// time stands for the last commit that is not later (see [projections.Audit.At]).
const asOfParameter = "as_of"

// errUnknownThen says that something is there now and was not then.
var errUnknownThen = &problem{"not_recorded_then", "nothing about it was recorded then; it came later"}

// past is a moment that somebody asks about. The zero past is now.
type past struct{ at events.Seq }

func (p past) asked() bool { return p.at > 0 }

// pastOf reads which moment the caller asks about.
func (a *API) pastOf(c *call) (past, error) {
	q, err := c.query(asOfParameter)
	if err != nil || !q.Has(asOfParameter) {
		return past{}, err
	}
	text := q.Get(asOfParameter)
	if seq, err := strconv.ParseUint(text, 10, 63); err == nil {
		newest, err := a.Views.Position(c.ctx())
		if err != nil {
			return past{}, err
		}
		if seq == 0 || events.Seq(seq) > newest.Seq {
			return past{}, errParameter.because("as_of is a sequence from 1 to that of the newest commit, which is " + strconv.FormatUint(uint64(newest.Seq), 10))
		}
		return past{events.Seq(seq)}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return past{}, errParameter.because("as_of is a sequence, or a time such as 2026-11-24T09:30:00Z")
	case at.After(c.now):
		return past{}, errParameter.because("as_of lies in the future")
	}
	seq, err := a.Views.CommitAt(c.ctx(), at)
	if err == nil && seq == 0 {
		err = errUnknownThen
	}
	return past{seq}, err
}

// readPast records that the caller reads the past, before they are shown any of it. Call it when
// everything else was checked.
func (a *API) readPast(c *call) error {
	return a.reads(c, events.ReadingPast, url.Values{asOfParameter: nil})
}

// answerUnless answers, unless something was wrong.
func answerUnless(err error, answer func() (reply, error)) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return answer()
}

// then makes of nothing found that there was nothing then.
func then(err error) error {
	if errors.Is(err, projections.ErrNotFound) {
		return errUnknownThen
	}
	return err
}

// showRequestThen shows a request as it was. Who may see it and what is withheld is decided by
// what is so now, and names are those of now; the sentence why it waits and the pages of
// applications are of the present only, and left out. Actions are those of now.
func (a *API) showRequestThen(c *call, now projections.Request, p past) (reply, error) {
	r, err := a.Views.RequestAsOf(c.ctx(), now.ID, p.at)
	if err != nil {
		return reply{}, then(err)
	}
	names, err := a.names(c, r)
	if err != nil {
		return reply{}, err
	}
	shown := requestOf(r, names)
	if shown.Rollout != nil {
		shown.Rollout.Watches = watchesOf(r, nil)
	}
	if a.withheld(c, now) {
		withholdEffects(&shown)
	}
	a.withholdEffects(c, r, &shown)
	if shown.Actions, err = a.actions(a.judge(c), now); err != nil {
		return reply{}, err
	}
	if err := a.readPast(c); err != nil {
		return reply{}, err
	}
	shown.AsOf = uint64(p.at)
	return reply{status: http.StatusOK, body: shown}, nil
}

// showSecretThen shows a secret as the inventory had it. How old its value was is counted until
// the last commit that counts.
func (a *API) showSecretThen(c *call, id events.SecretID, p past) (reply, error) {
	found, err := a.Views.SecretAsOf(c.ctx(), id, p.at)
	if errors.Is(err, projections.ErrLongPast) {
		return reply{}, errReportTooLong.because("scans recorded too much until then for one answer; fold it yourself: `sb audit replay --at " + strconv.FormatUint(uint64(p.at), 10) + " --database … --schema …`")
	}
	if err != nil {
		return reply{}, then(err)
	}
	at, err := a.Views.TimeOf(c.ctx(), p.at)
	if err == nil {
		err = a.readPast(c)
	}
	if err != nil {
		return reply{}, err
	}
	shown := secretOf(found, at)
	shown.AsOf = uint64(p.at)
	return c.unlessSeenWhole(shown)
}

// showGovernanceThen shows the objects that counted.
func (a *API) showGovernanceThen(c *call, p past) (reply, error) {
	commits, err := a.Log.Load(c.ctx(), events.GovernanceStream())
	if err != nil {
		return reply{}, err
	}
	var g command.Governance
	var seq events.Seq
	for _, commit := range commits {
		if commit.Seq > p.at {
			break
		}
		for _, e := range commit.Events {
			g = g.Evolve(e)
		}
		seq = commit.Seq
	}
	if err := a.readPast(c); err != nil {
		return reply{}, err
	}
	return c.unlessSeen(fmt.Sprintf(`"%d-%d"`, g.Version, p.at), api.Governance{
		Version: g.Version, Objects: objectsOf(g), Seq: uint64(seq), AsOf: uint64(p.at),
	}), nil
}
