package web

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

const (
	// histogramSpan is over how long a time facts are counted unless told, and histogramStep where
	// it ends: so it has 120 buckets of that.
	histogramSpan = 30 * 24 * time.Hour
	histogramStep = 6 * time.Hour
)

// auditFacets counts facts by who caused them, by type, by the kind of stream or by outcome.
func (a *API) auditFacets(c *call) (reply, error) {
	q, err := c.query(append(slices.Clone(auditFilters), "by")...)
	if err != nil {
		return reply{}, err
	}
	by := projections.AuditFacet(q.Get("by"))
	if !slices.Contains(projections.AuditFacets, by) {
		return reply{}, errParameter.because("by is one of " + joined(projections.AuditFacets))
	}
	filter, err := auditFilter(q)
	if err != nil {
		return reply{}, err
	}
	counts, err := a.Views.CountAudit(c.ctx(), filter, by)
	if err != nil {
		return reply{}, err
	}
	var names map[events.Actor]string
	if by == projections.ByActor {
		actors := make([]events.Actor, len(counts.Values))
		for i, v := range counts.Values {
			actors[i] = events.Actor(v.Value)
		}
		if names, err = a.actorNames(c, actors); err != nil {
			return reply{}, err
		}
	}
	shown := api.AuditFacets{Items: make([]api.AuditFacet, len(counts.Values)), Total: counts.Total, Exact: counts.Exact}
	for i, v := range counts.Values {
		shown.Items[i] = api.AuditFacet{Value: v.Value, Name: names[events.Actor(v.Value)], Count: v.N}
	}
	return reply{status: http.StatusOK, body: shown}, a.reads(c, events.ReadingCounts, q)
}

// auditHistogram counts facts over time.
func (a *API) auditHistogram(c *call) (reply, error) {
	q, err := c.query(auditFilters...)
	if err != nil {
		return reply{}, err
	}
	filter, err := auditFilter(q)
	if err != nil {
		return reply{}, err
	}
	if filter.Until.IsZero() {
		filter.Until = c.now.UTC().Truncate(histogramStep).Add(histogramStep)
	}
	if filter.Since.IsZero() {
		filter.Since = filter.Until.Add(-histogramSpan)
	}
	found, err := a.Views.AuditHistogram(c.ctx(), filter)
	if errors.Is(err, projections.ErrHistogram) {
		err = errParameter.because("since is before until, by 3,570 days at most")
	}
	if err != nil {
		return reply{}, err
	}
	shown := api.AuditHistogram{
		Since: filter.Since.UTC(), Until: filter.Until.UTC(), BucketSeconds: int(found.Width.Seconds()), Exact: found.Exact,
		Items: make([]api.AuditBucket, len(found.Buckets)),
	}
	for i, b := range found.Buckets {
		shown.Items[i] = api.AuditBucket{At: b.At, Done: b.Done, Denied: b.Denied}
	}
	return reply{status: http.StatusOK, body: shown}, a.reads(c, events.ReadingCounts, q)
}
