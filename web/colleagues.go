package web

import (
	"net/http"
	"unicode/utf8"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

const (
	// minColleague is how many characters of a name somebody has to know, and maxColleague how
	// many bytes they may send.
	minColleague = 2
	maxColleague = 100

	// maxColleagues is how many are shown. Who looks for another one types more of the name.
	maxColleagues = 20
)

// listColleagues finds whom the caller may delegate to, by name: who could vote for them need not
// be known by an id. It tells no more than the name.
func (a *API) listColleagues(c *call) (reply, error) {
	q, err := c.query("text")
	if err != nil {
		return reply{}, err
	}
	text := q.Get("text")
	if utf8.RuneCountInString(text) < minColleague || len(text) > maxColleague {
		return reply{}, errParameter.because("text is the beginning of a name, of two characters at least and 100 bytes at most")
	}
	// Who is disabled is left out here, so there are some to spare.
	found, err := a.Directory.Named(c.ctx(), text, 5*maxColleagues)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Person]{Items: []api.Person{}}
	for _, p := range found {
		user := a.Rights.User(p.ID)
		if p.ID == c.person.ID || user.Kind != events.UserPerson || user.State != command.UserActive {
			continue
		}
		if page.Items = append(page.Items, api.Person{ID: string(p.ID), Name: p.Name}); len(page.Items) == maxColleagues {
			break
		}
	}
	return reply{status: http.StatusOK, body: page}, nil
}
