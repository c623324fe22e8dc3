package argocd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/internal/manifest"
)

// Bounds of lists.
const (
	listTime         = 30 * time.Second // Argo CD makes the list of thousands in seconds
	maxApplications  = 20_000
	maxSuggestions   = 400 // ExternalSecrets that are looked into for one list
	maxListedObjects = 200_000
)

// What is asked of a list, in Argo CD's words (pkg/apiclient/application/forwarder_overwrite.go). An
// Argo CD that knows no such fields sends all.
var (
	listFields = []string{"items.metadata.name", "items.metadata.namespace", "items.spec.project",
		"items.status.sync.status", "items.status.health"}
	resourceFields = []string{"items.metadata.name", "items.metadata.namespace", "items.status.resources"}
)

// Applications implements [gitops.Lister].
func (r *Reader) Applications(ctx context.Context, integration events.IntegrationID, limit int) (all []gitops.Application, more bool, problem events.RolloutProblem) {
	problem = r.withList(ctx, integration, listFields, func(_ context.Context, _ *session, apps []application) error {
		for _, app := range apps[:min(limit, len(apps))] {
			all = append(all, gitops.Application{Target: app.target(), Project: app.project(), Sync: app.sync(), Health: app.health()})
		}
		more = len(apps) > limit
		return nil
	})
	return all, more, problem
}

// Uses implements [gitops.Finder]: from the ExternalSecrets that applications have themselves. Those
// that something else makes in the cluster, such as a ClusterExternalSecret, are not among them.
func (r *Reader) Uses(ctx context.Context, integration events.IntegrationID, limit int) (all []gitops.Use, more bool, problem events.RolloutProblem) {
	problem = r.withList(ctx, integration, resourceFields, func(ctx context.Context, s *session, apps []application) (err error) {
		all, more, err = s.uses(ctx, apps, limit)
		return err
	})
	return all, more, problem
}

// withList reads a list and has it used.
func (r *Reader) withList(ctx context.Context, integration events.IntegrationID, fields []string, use func(context.Context, *session, []application) error) events.RolloutProblem {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	s, err := r.open(ctx, integration)
	if err != nil {
		return r.explain(ctx, integration, err)
	}
	defer s.close()
	apps, err := s.list(ctx, fields)
	if err == nil {
		err = use(ctx, s, apps)
	}
	if err != nil {
		return r.explain(ctx, integration, err)
	}
	return ""
}

// uses looks into the ExternalSecrets of applications, as many as there is time for. An application of
// which Argo CD does not say them, such as one whose cluster is out of reach, is passed over, and
// is part of what more there is. The error is that of the first if none of them is said.
func (s *session) uses(ctx context.Context, apps []application, limit int) (all []gitops.Use, more bool, err error) {
	read, said := 0, 0
	var unsaid error
next:
	for _, app := range apps {
		for _, res := range app.Status.Resources {
			ref := objectRef{Group: res.Group, Version: res.Version, Kind: res.Kind, Namespace: res.Namespace, Name: res.Name}
			if !ref.external() || !names.MatchString(ref.Name) || !names.MatchString(ref.Namespace) {
				continue
			}
			if read == maxSuggestions || len(all) >= limit {
				return all[:min(limit, len(all))], true, nil
			}
			read++
			o, err := s.object(ctx, appName{app.Metadata.Namespace, app.Metadata.Name}, ref)
			var status *statusError
			switch {
			case err != nil && ctx.Err() != nil && len(all) > 0:
				return all, true, nil
			case errors.As(err, &status) && status.status != http.StatusUnauthorized:
				unsaid = cmp.Or(unsaid, err)
				continue next
			case err != nil:
				return nil, false, err
			}
			if said++; !o.gone {
				all = append(all, uses(app, res.Namespace, o.external)...)
			}
		}
	}
	if said == 0 && unsaid != nil {
		return nil, false, unsaid
	}
	return all[:min(limit, len(all))], unsaid != nil || len(all) > limit, nil
}

// uses says which secrets of its store an ExternalSecret of an application names.
func uses(app application, namespace string, e manifest.ExternalSecret) []gitops.Use {
	target := app.target()
	target.Secret = namespace + "/" + e.Secret()
	var all []gitops.Use
	for _, key := range e.Keys() {
		if key != "" && len(key) <= maxKey {
			all = append(all, gitops.Use{Target: target, Key: key})
		}
	}
	return all
}

// maxKey bounds the key of an ExternalSecret, in bytes: an ARN has 100 more than a ref.
const maxKey = 1024

// project is empty where Kubernetes would have none of that name.
func (a application) project() string {
	if !names.MatchString(a.Spec.Project) {
		return ""
	}
	return a.Spec.Project
}

func (a application) target() events.RolloutTarget {
	return events.RolloutTarget{Kind: "Application", Namespace: a.Metadata.Namespace, Name: a.Metadata.Name}
}

// list reads all applications, in the order of their namespaces and names.
func (s *session) list(ctx context.Context, fields []string) ([]application, error) {
	var apps []application
	query := url.Values{"fields": {strings.Join(fields, ",")}}
	if s.settings.Namespace != "" {
		query.Set("appNamespace", s.settings.Namespace)
	}
	if _, err := s.get(ctx, []string{"applications"}, query, func(d *json.Decoder) error { return readList(d, &apps) }); err != nil {
		return nil, err
	}
	slices.SortFunc(apps, func(a, b application) int {
		return cmp.Or(strings.Compare(a.Metadata.Namespace, b.Metadata.Namespace), strings.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	return apps, nil
}

// readList reads {"items": […], …} item by item.
func readList(d *json.Decoder, apps *[]application) error {
	return readObject(d, "items", func(first json.Token) error {
		if first == nil {
			return nil
		}
		if first != json.Delim('[') {
			return malformed("a list of applications has no items")
		}
		for objects := 0; d.More(); {
			var app application
			if err := d.Decode(&app); err != nil {
				return err
			}
			if !names.MatchString(app.Metadata.Name) || app.Metadata.Namespace != "" && !names.MatchString(app.Metadata.Namespace) {
				return malformed("a list has an application that Kubernetes would not have")
			}
			if objects += len(app.Status.Resources); len(*apps) == maxApplications || objects > maxListedObjects {
				return tooLarge("there are more than 20,000 applications")
			}
			*apps = append(*apps, app)
		}
		return expect(d, ']')
	})
}
