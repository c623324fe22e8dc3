package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// amendmentStates are where an amendment stands, as people see it: one that is open and was written
// for another version cannot be approved any more, nor can one that reached its end.
var amendmentStates = []string{"open", "stale", "over", "applied", "rejected", "withdrawn"}

// amendmentLog is an amendment with its circumstances.
type amendmentLog struct {
	command.Amendment
	at    time.Time
	words []api.AmendmentWord
}

func (l amendmentLog) state(version int, now time.Time) string {
	switch {
	case l.State != command.AmendmentOpen:
		return string(l.State)
	case !now.Before(l.Until):
		return "over"
	case l.On != version:
		return "stale"
	}
	return "open"
}

// amendments reads the history, oldest first.
func (a *API) amendments(c *call) (all []amendmentLog, g command.Governance, seq events.Seq, err error) {
	commits, err := a.Log.Load(c.ctx(), events.GovernanceStream())
	if err != nil {
		return nil, g, 0, err
	}
	at := map[events.AmendmentID]time.Time{}
	words := map[events.AmendmentID][]api.AmendmentWord{}
	for _, commit := range commits {
		for _, e := range commit.Events {
			g = g.Evolve(e)
			switch f := e.Fact.(type) {
			case events.AmendmentProposed:
				at[f.Amendment] = e.Time
			case events.AmendmentApproved:
				words[f.Amendment] = append(words[f.Amendment], wordOf(f.By, "approved", f.Comment, e.Time))
			case events.AmendmentRejected:
				words[f.Amendment] = append(words[f.Amendment], wordOf(f.By, "rejected", f.Comment, e.Time))
			}
		}
		seq = commit.Seq
	}
	for _, m := range g.Amendments {
		all = append(all, amendmentLog{m, at[m.Amendment], words[m.Amendment]})
	}
	return all, g, seq, nil
}

func wordOf(by events.UserID, decision, comment string, at time.Time) api.AmendmentWord {
	return api.AmendmentWord{Person: api.Person{ID: string(by)}, Decision: decision, Comment: comment, At: at}
}

// listAmendments lists them, newest first. The cursor is the place of the last one, from 1.
func (a *API) listAmendments(c *call) (reply, error) {
	q, err := c.query("state", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	for _, s := range q["state"] {
		if !slices.Contains(amendmentStates, s) {
			return reply{}, errParameter.because("state is one of " + joined(amendmentStates))
		}
	}
	limit, before, err := cursorOf(q.Get("cursor"), limitOf, q)
	if err != nil {
		return reply{}, err
	}
	all, g, seq, err := a.amendments(c)
	if err != nil {
		return reply{}, err
	}
	if before == 0 || before > len(all)+1 {
		before = len(all) + 1
	}
	page := api.Page[api.Amendment]{Items: []api.Amendment{}}
	for i := before - 2; i >= 0; i-- {
		shown := amendmentOf(all[i], g, seq, c.now)
		if len(q["state"]) > 0 && !slices.Contains(q["state"], shown.State) {
			continue
		}
		if len(page.Items) == limit {
			page.Next = strconv.Itoa(i + 2)
			break
		}
		page.Items = append(page.Items, shown)
	}
	return reply{status: http.StatusOK, body: page}, a.nameAmendments(c, page.Items)
}

// cursorOf is a limit and where a page begins: before a number from 1, or at the end.
func cursorOf(cursor string, limitOf func(url.Values) (int, error), q url.Values) (limit, before int, err error) {
	if limit, err = limitOf(q); err != nil {
		return 0, 0, err
	}
	if limit == 0 {
		limit = 50
	}
	if cursor != "" {
		if before, err = strconv.Atoi(cursor); err != nil || before < 1 {
			return 0, 0, projections.ErrCursor
		}
	}
	return limit, before, nil
}

func amendmentOf(l amendmentLog, g command.Governance, seq events.Seq, now time.Time) api.Amendment {
	return api.Amendment{
		ID: string(l.Amendment.Amendment), State: l.state(g.Version, now), By: api.Person{ID: string(l.By)}, On: l.On, Version: l.Version, Note: l.Note,
		Objects: len(l.Set) + len(l.Removed), Approvals: l.Approvals, From: l.From, Words: append([]api.AmendmentWord{}, l.words...),
		ProposedAt: l.at, Until: l.Until, Seq: uint64(seq),
	}
}

func (a *API) nameAmendments(c *call, all []api.Amendment) error {
	var who []events.UserID
	for _, m := range all {
		who = append(who, events.UserID(m.By.ID))
		for _, w := range m.Words {
			who = append(who, events.UserID(w.Person.ID))
		}
	}
	names, err := a.People.Names(c.ctx(), who)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].By.Name = names[events.UserID(all[i].By.ID)]
		for j := range all[i].Words {
			all[i].Words[j].Person.Name = names[events.UserID(all[i].Words[j].Person.ID)]
		}
	}
	return nil
}

func (c *call) amendmentID() (events.AmendmentID, error) {
	id := c.param("id")
	if !events.ValidID(id, "m_") {
		return "", command.ErrAmendmentUnknown
	}
	return events.AmendmentID(id), nil
}

// showAmendment shows one with its difference: from the version that it was written for, and
// from what counts now.
func (a *API) showAmendment(c *call) (reply, error) {
	id, err := c.amendmentID()
	if err != nil {
		return reply{}, err
	}
	all, g, seq, err := a.amendments(c)
	if err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(all, func(l amendmentLog) bool { return l.Amendment.Amendment == id })
	if i < 0 {
		return reply{}, command.ErrAmendmentUnknown
	}
	then, _, err := a.asOfVersion(c.ctx(), all[i].On)
	if err != nil {
		return reply{}, err
	}
	shown := []api.Amendment{amendmentOf(all[i], g, seq, c.now)}
	shown[0].Changes = changesOf(standing(then), all[i].Set, all[i].Removed)
	shown[0].Now = changesOf(standing(g), all[i].Set, all[i].Removed)
	return reply{status: http.StatusOK, body: &shown[0]}, a.nameAmendments(c, shown)
}

func (a *API) approveAmendment(c *call) (reply, error) {
	return a.sayTo(c, func(g command.Governance, meta command.Meta, id events.AmendmentID, cmd command.Amend) ([]events.Fact, error) {
		return g.ApproveAmendment(meta, id, cmd)
	})
}

func (a *API) rejectAmendment(c *call) (reply, error) {
	return a.sayTo(c, func(g command.Governance, meta command.Meta, id events.AmendmentID, cmd command.Amend) ([]events.Fact, error) {
		return g.RejectAmendment(meta, id, cmd)
	})
}

func (a *API) withdrawAmendment(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	return a.amend(c, "", func(g command.Governance, meta command.Meta, id events.AmendmentID, cmd command.Amend) ([]events.Fact, error) {
		return g.WithdrawAmendment(meta, id, cmd.By)
	})
}

// amending decides one word on an amendment.
type amending func(command.Governance, command.Meta, events.AmendmentID, command.Amend) ([]events.Fact, error)

// sayTo says yes or no to an amendment, with a comment.
func (a *API) sayTo(c *call, decide amending) (reply, error) {
	var m api.Comment
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if utf8.RuneCountInString(m.Comment) > command.MaxComment {
		return reply{}, command.ErrCommentTooLong
	}
	return a.amend(c, m.Comment, decide)
}

// amend decides a word on an amendment. Who it asks for are people, groups and roles that are held
// everywhere: the governance has no place.
func (a *API) amend(c *call, comment string, decide amending) (reply, error) {
	id, err := c.amendmentID()
	if err != nil {
		return reply{}, err
	}
	change, _ := a.change(c, draft{})
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.GovernanceStream(), meta, func(g command.Governance) ([]events.Fact, error) {
		amendment, _ := g.Amendment(id)
		return decide(g, meta, id, command.Amend{
			By: c.person.ID, Fits: c.powers.Fit(amendment.From, policy.Spot{}, c.now), Comment: comment, Initial: change.Initial, Check: change.Check, Alone: change.Alone,
		})
	})
	if err != nil {
		return reply{}, err
	}
	made, err := a.madeBy(c.ctx(), meta.Command, done.Events)
	if err != nil {
		return reply{}, err
	}
	made.Seq, made.Amendment = uint64(done.Seq), cmp.Or(made.Amendment, string(id))
	return reply{status: http.StatusOK, seq: done.Seq, body: made}, nil
}
