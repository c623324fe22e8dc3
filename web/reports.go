package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// Reports are lists for those who watch over secrets. Each comes in pages, or whole as
// CSV (csv.go).

// staleDays is when a secret is stale unless told.
const staleDays = 90

// maxTwins is of how many secrets with the same value a report names.
const maxTwins = 100

// reportFilters narrow reports of secrets.
var reportFilters = []string{"label", "prefix", "provider", "cluster", "connection", "environment", "older_than_days", "text"}

func (a *API) reportStale(c *call) (reply, error) {
	known := append([]string{"owner"}, reportFilters...)
	return reportOf(a, c, "stale", known, a.Views.StaleSecrets, secretTable, func(f *projections.SecretFilter) {
		if f.OlderThan.IsZero() {
			f.OlderThan = c.now.AddDate(0, 0, -staleDays)
		}
	})
}

func (a *API) reportUnowned(c *call) (reply, error) {
	return reportOf(a, c, "unowned", reportFilters, a.Views.UnownedSecrets, secretTable, nil)
}

func (a *API) reportOutOfBand(c *call) (reply, error) {
	known := append([]string{"owner"}, reportFilters...)
	return reportOf(a, c, "out-of-band", known, a.Views.OutOfBand, changeTable, nil)
}

// columns is how items of a report look, as JSON and as a row.
type columns[V, T any] struct {
	header []string
	show   func(V, time.Time) T
	row    func(T) []string
}

// reportOf answers with a report over secrets.
func reportOf[V, T any](
	a *API, c *call, name string, known []string,
	list func(context.Context, projections.SecretFilter) (projections.Page[V], error), look columns[V, T], change func(*projections.SecretFilter),
) (reply, error) {
	q, err := c.query(slices.Concat(known, []string{"format", "cursor", "limit"})...)
	if err != nil {
		return reply{}, err
	}
	filter, err := c.secretFilter(q)
	if err != nil {
		return reply{}, err
	}
	if change != nil {
		change(&filter)
	}
	return a.report(c, q, func(whole bool, limit int) (reply, error) {
		if filter.Limit = limit; whole {
			return a.export(c, table{name, narrowedBy(q), look.header, func(ctx context.Context, cursor string) ([][]string, string, error) {
				filter.Cursor, filter.Within = cursor, c.within(c.route.Permission)
				found, err := list(ctx, filter)
				rows := make([][]string, len(found.Items))
				for i, item := range found.Items {
					rows[i] = look.row(look.show(item, c.now))
				}
				return rows, found.Next, err
			}}.document())
		}
		filter.Cursor = q.Get("cursor")
		found, err := list(c.ctx(), filter)
		if err != nil {
			return reply{}, err
		}
		return reply{status: http.StatusOK, body: pageOf(found, func(item V) T { return look.show(item, c.now) })}, nil
	})
}

// narrowedBy are the names of the parameters that say what a report is of.
func narrowedBy(q url.Values) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(q)), func(name string) bool { return name == "format" })
}

// report reads in which form a report is wanted.
func (a *API) report(c *call, q url.Values, answer func(whole bool, limit int) (reply, error)) (reply, error) {
	whole, err := asCSV(q)
	if err != nil {
		return reply{}, err
	}
	limit, err := limitOf(q)
	if err != nil {
		return reply{}, err
	}
	if whole {
		limit = projections.MaxLimit
	}
	return answer(whole, limit)
}

// Rows of secrets. Labels are one cell of JSON: their names differ from secret to secret.
var secretHeader = []string{
	"id", "secret", "connection", "cluster", "provider", "ref", "status", "owner", "owner_from", "environment", "environment_from",
	"version", "rotated_at", "age_days", "created_at", "updated_at", "first_seen_at", "last_seen_at", "gone_at", "labels",
}

var secretTable = columns[projections.Secret, api.Secret]{secretHeader, secretOf, secretRow}

func secretRow(s api.Secret) []string {
	age := ""
	if s.AgeDays != nil {
		age = strconv.Itoa(*s.AgeDays)
	}
	return []string{
		s.ID, s.Secret, s.Connection, s.Cluster, s.Provider, s.Ref, s.Status, s.Owner, s.OwnerFrom, s.Environment, s.EnvironmentFrom,
		s.Version, when(s.RotatedAt), age, when(s.CreatedAt), when(s.UpdatedAt), when(&s.FirstSeenAt), when(&s.LastSeenAt), when(s.GoneAt), plain(s.Labels),
	}
}

// plain is JSON that people read: without escapes for HTML.
func plain(labels map[string]string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(labels) // texts, to memory
	return strings.TrimSuffix(b.String(), "\n")
}

func when(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

var changeTable = columns[projections.SecretChange, api.OutOfBand]{
	append([]string{"seen_at", "kind", "from_version", "to_version", "scan"}, secretHeader...),
	func(s projections.SecretChange, now time.Time) api.OutOfBand {
		return api.OutOfBand{
			Secret: secretOf(s.Secret, now), Kind: string(s.Kind), FromVersion: s.FromVersion, ToVersion: s.ToVersion,
			SeenAt: s.SeenAt, Scan: string(s.Scan),
		}
	},
	func(s api.OutOfBand) []string {
		return append([]string{when(&s.SeenAt), s.Kind, s.FromVersion, s.ToVersion, s.Scan}, secretRow(s.Secret)...)
	},
}

// reportDuplicates lists values that several secrets share. There are no filters: a value
// may be shared over connections, and that is what it is for. Secrets out of the caller's scope
// are not there: neither are values that fewer than two others share.
func (a *API) reportDuplicates(c *call) (reply, error) {
	q, err := c.query("format", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	return a.report(c, q, func(whole bool, limit int) (reply, error) {
		if whole {
			return a.export(c, table{"duplicates", narrowedBy(q), duplicateHeader, func(ctx context.Context, after string) ([][]string, string, error) {
				found, last, err := a.duplicates(ctx, c.within(policy.ReportRead).Bounds(), after, limit)
				var rows [][]string
				for _, d := range found {
					for _, s := range d.Secrets {
						rows = append(rows, []string{
							d.Group, strconv.Itoa(d.Total), s.ID, s.Secret, s.Version, when(&s.FingerprintedAt), strconv.FormatBool(s.Changed),
						})
					}
				}
				return rows, last, err
			}}.document())
		}
		if limit == 0 {
			limit = defaultGroups
		}
		page, err := a.duplicatesPage(c.ctx(), c.within(policy.ReportRead).Bounds(), q.Get("cursor"), limit)
		if err != nil {
			return reply{}, err
		}
		return reply{status: http.StatusOK, body: page}, nil
	})
}

// duplicateHeader is of rows of a value and one secret each.
var duplicateHeader = []string{"group", "total", "id", "secret", "version", "fingerprinted_at", "changed"}

// defaultGroups is how many a page of them has unless told.
const defaultGroups = 50

// reportCoverage tells what duplicates are looked for in: connections are few, so all come
// in one page.
func (a *API) reportCoverage(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	covered, err := a.Scans.Coverage(c.ctx())
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Coverage]{Items: make([]api.Coverage, 0, len(covered))}
	for _, of := range covered {
		if !c.may(policy.ReportRead, c.spot(of.Connection, "")) {
			continue // it counts all of the connection
		}
		page.Items = append(page.Items, api.Coverage{Connection: string(of.Connection), KeyID: of.KeyID, Secrets: of.Secrets, FingerprintedAt: of.Made.UTC()})
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// duplicatesPage is one page. Its cursor names the last group by its place: the group's own
// name is a fingerprint, and does not leave the server.
func (a *API) duplicatesPage(ctx context.Context, bounds []string, cursor string, limit int) (page api.Page[api.Duplicate], err error) {
	after := ""
	if cursor != "" {
		place, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || !storable(string(place)) {
			return page, errCursor
		}
		after, err = a.Scans.GroupAt(ctx, string(place), bounds)
		if errors.Is(err, store.ErrNoGroup) {
			return page, errCursor
		}
		if err != nil {
			return page, err
		}
	}
	found, last, err := a.duplicates(ctx, bounds, after, limit)
	if err != nil {
		return page, err
	}
	page.Items = found
	if last != "" {
		place, err := a.Scans.PlaceOf(ctx, last, bounds)
		if errors.Is(err, store.ErrNoGroup) {
			return page, errUnavailable // the next job took its place right now
		}
		if err != nil {
			return page, err
		}
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(place))
	}
	return page, nil
}

// duplicates returns up to limit groups after one, and the name of the last if there are
// more. Groups that are none any more are left out.
func (a *API) duplicates(ctx context.Context, bounds []string, after string, limit int) (shown []api.Duplicate, last string, err error) {
	found, err := a.Scans.Duplicates(ctx, bounds, after, limit+1, maxTwins)
	if err != nil {
		return nil, "", err
	}
	if len(found) > limit {
		found = found[:limit]
		last = found[limit-1].Group
	}
	var ids []events.SecretID
	for _, twins := range found {
		for _, s := range twins.Secrets {
			ids = append(ids, s.Secret)
		}
	}
	slices.Sort(ids)
	now, err := a.Views.SecretStandings(ctx, slices.Compact(ids))
	if err != nil {
		return nil, "", err
	}
	shown = make([]api.Duplicate, 0, len(found))
	for _, twins := range found {
		if d := duplicateOf(twins, now); d.Total > 1 {
			shown = append(shown, d)
		}
	}
	return shown, last, nil
}

// duplicateOf shows a group under another name than its own, which is the same in the next
// report and fits no list of fingerprints. Secrets that are gone are not shown. One that no
// scan ever met is: nobody knows better.
func duplicateOf(t store.Twins, now map[events.SecretID]projections.Standing) api.Duplicate {
	digest := sha256.Sum256([]byte("duplicates of " + t.Group))
	shown := api.Duplicate{Group: hex.EncodeToString(digest[:8]), Total: t.Total, Secrets: make([]api.SecretName, 0, len(t.Secrets))}
	for _, s := range t.Secrets {
		is := now[s.Secret]
		if is.Status == projections.SecretGone {
			shown.Total--
			continue
		}
		shown.Secrets = append(shown.Secrets, api.SecretName{
			ID: string(s.Secret), Secret: string(s.Connection) + "/" + s.Ref, Version: s.Version, FingerprintedAt: s.Made,
			Changed: s.Version != "" && is.Version != "" && s.Version != is.Version && is.LastSeenAt.After(s.Made),
		})
	}
	return shown
}
