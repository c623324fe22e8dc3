package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

func (a *API) listSecrets(c *call) (reply, error) {
	q, err := c.query(slices.Concat(secretFilters, []string{"cursor", "limit"})...)
	if err != nil {
		return reply{}, err
	}
	filter, err := c.inventoryFilter(q)
	if err != nil {
		return reply{}, err
	}
	filter.Cursor = q.Get("cursor")
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.Secrets(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: pageOf(found, func(s projections.Secret) api.Secret { return secretOf(s, c.now) })}, nil
}

func (a *API) countSecrets(c *call) (reply, error) {
	q, err := c.query(secretFilters...)
	if err != nil {
		return reply{}, err
	}
	filter, err := c.inventoryFilter(q)
	if err != nil {
		return reply{}, err
	}
	count, err := a.Views.CountSecrets(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Count{Count: count.N, Exact: count.Exact}}, nil
}

// labelFacets counts the values of a label, or the names of labels. Here a label is a
// name alone, as it is.
func (a *API) labelFacets(c *call) (reply, error) {
	q, err := c.query("label", "connection", "cluster", "provider", "limit")
	if err != nil {
		return reply{}, err
	}
	if len(q["label"]) > 1 {
		return reply{}, errParameter.because("label is there twice")
	}
	filter := projections.FacetFilter{Name: q.Get("label"), Within: c.within(policy.SecretList)}
	if len(filter.Name) > events.MaxLabelName {
		return reply{}, errParameter.because("label is the name of one: it is too long")
	}
	if err := placeOf(q, &filter.Connection, &filter.Cluster, &filter.Provider); err != nil {
		return reply{}, err
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	found, err := a.Views.LabelFacets(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Facet]{Items: make([]api.Facet, 0, len(found))}
	for _, f := range found {
		page.Items = append(page.Items, api.Facet{Value: f.Value, Count: f.N})
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// secret loads one of the inventory, for whoever has the permission where it lies. To others it
// is not there, unless they may see it.
func (a *API) secret(c *call, id string, needs policy.Permission) (projections.Secret, error) {
	if !events.ValidID(id, "i_") {
		return projections.Secret{}, command.ErrSecretUnlisted
	}
	found, err := a.Views.Secret(c.ctx(), events.SecretID(id))
	if isNotFound(err) {
		err = command.ErrSecretUnlisted
	}
	if err == nil && events.SecretOf(found.Connection, found.Ref) != found.ID {
		err = fmt.Errorf("the row of %s is of another secret", found.ID)
	}
	if err != nil {
		return found, err
	}
	if at := c.spot(found.Connection, found.Ref); !c.may(needs, at) {
		return found, outside(c.may(policy.SecretList, at), errSecretHidden)
	}
	return found, nil
}

// presentSecret is likewise, but refuses one that is gone: nothing can be asked of it.
func (a *API) presentSecret(c *call, id string, needs policy.Permission) (projections.Secret, error) {
	found, err := a.secret(c, id, needs)
	if err == nil && found.Status == projections.SecretGone {
		err = errSecretGone
	}
	return found, err
}

// showSecret answers "not modified" to who has seen the same. What is shown changes also
// without facts about the secret: scans meet it again, rules say another owner, it ages.
func (a *API) showSecret(c *call) (reply, error) {
	found, err := a.secret(c, c.param("id"), policy.SecretList)
	if err != nil {
		return reply{}, err
	}
	if p, err := a.pastOf(c); err != nil || p.asked() {
		return answerUnless(err, func() (reply, error) { return a.showSecretThen(c, found.ID, p) })
	}
	return c.unlessSeenWhole(secretOf(found, c.now))
}

// unlessSeenWhole is [call.unlessSeen] with an ETag that changes with anything in the body.
func (c *call) unlessSeenWhole(body any) (reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	digest := sha256.Sum256(text)
	return c.unlessSeen(`"`+base64.RawURLEncoding.EncodeToString(digest[:16])+`"`, body), nil
}

// unlessSeen answers with a body, or with nothing to who has it.
func (c *call) unlessSeen(etag string, body any) reply {
	if c.r.Header.Get("If-None-Match") == etag {
		return reply{status: http.StatusNotModified, etag: etag}
	}
	return reply{status: http.StatusOK, body: body, etag: etag}
}

func (a *API) assignSecret(c *call) (reply, error) {
	var m struct {
		Owner       *string `json:"owner"`
		Environment *string `json:"environment"`
	}
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	if m.Owner == nil || m.Environment == nil {
		return reply{}, errBodyMalformed.because("say owner and environment; an empty text leaves one to the rules")
	}
	found, err := a.secret(c, c.param("id"), policy.SecretAssign)
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.SecretStream(found.ID), meta, func(s command.Secret) ([]events.Fact, error) {
		return s.Assign(meta, events.SecretAssigned{
			Secret: found.ID, Connection: found.Connection, Ref: found.Ref, Owner: *m.Owner, Environment: *m.Environment,
		})
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: api.Done{Seq: uint64(done.Seq)}}, nil
}

// mayListKeys reports whether the caller may learn the names of a secret's keys: whoever
// may ask to read it.
func (a *API) mayListKeys(c *call, name events.ConnectionID, ref string) (bool, error) {
	connection, _, err := command.Load[command.Connection](c.ctx(), a.Log, events.ConnectionStream(name))
	if err != nil {
		return false, err
	}
	ask, err := a.askAbout(c, connection, ref)
	if err != nil {
		return false, err
	}
	ask.Operation = events.OperationRead
	d := c.powers.Governance().Decide(ask)
	return d.Allowed && c.may(policy.SecretKeys, d.Spot), nil
}

// queueKeys opens a job for the names of a secret's keys.
func (a *API) queueKeys(c *call) (reply, error) {
	if err := c.decode(&struct{}{}); err != nil {
		return reply{}, err
	}
	id := events.SecretID(c.param("id"))
	meta := c.meta()
	before, _, err := command.Load[command.Job](c.ctx(), a.Log, events.JobStream(events.KeysJobOf(meta.Command)))
	if err != nil {
		return reply{}, err
	}
	if before.Took(meta.Command) { // the same call again
		return a.queued(c, http.StatusAccepted, command.Decision[command.Job]{State: before}, nil)
	}
	found, err := a.presentSecret(c, string(id), policy.SecretKeys)
	if err != nil {
		return reply{}, err
	}
	if may, err := a.mayListKeys(c, found.Connection, found.Ref); err != nil {
		return reply{}, err
	} else if !may {
		return reply{}, command.ErrPolicyDenied
	}
	if err := a.limit(c, window.KeyJobs, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	done, err := a.Inventory.QueueKeys(c.ctx(), meta, found.Connection, found.Ref)
	return a.queued(c, http.StatusAccepted, done, err)
}

// secretOf shows a secret as the API does.
func secretOf(s projections.Secret, now time.Time) api.Secret {
	shown := api.Secret{
		ID: string(s.ID), Secret: string(s.Connection) + "/" + s.Ref, Connection: string(s.Connection), Cluster: string(s.Cluster),
		Provider: string(s.Provider), Ref: s.Ref, Labels: s.Labels, Version: s.Version, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		RotatedAt: s.RotatedAt, FirstSeenAt: s.FirstSeenAt, LastSeenAt: s.LastSeenAt, Status: string(s.Status), GoneAt: s.GoneAt,
		Owner: s.Owner, OwnerFrom: string(s.OwnerFrom), Environment: s.Environment, EnvironmentFrom: string(s.EnvironmentFrom), Seq: uint64(s.LastSeq),
	}
	if s.RotatedAt != nil {
		days := max(0, int(now.Sub(*s.RotatedAt)/(24*time.Hour))) // a provider's clock may be ahead
		shown.AgeDays = &days
	}
	return shown
}

// pageOf shows a page.
func pageOf[V, T any](found projections.Page[V], show func(V) T) api.Page[T] {
	page := api.Page[T]{Items: make([]T, 0, len(found.Items)), Next: found.Next}
	for _, item := range found.Items {
		page.Items = append(page.Items, show(item))
	}
	return page
}
