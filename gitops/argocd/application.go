package argocd

import (
	"cmp"
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// appName is an application by the namespace that Argo CD keeps it in, empty for its own.
type appName struct{ namespace, name string }

// names are those of Kubernetes' objects that are met here (RFC 1123 subdomains).
var names = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// query says which application is meant, for calls that are about it.
func (n appName) query() url.Values {
	if n.namespace == "" {
		return url.Values{}
	}
	return url.Values{"appNamespace": {n.namespace}}
}

// application is what is read of one.
type application struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Project     string `json:"project"`
		Destination struct {
			Namespace string `json:"namespace"`
		} `json:"destination"`
	} `json:"spec"`
	Status struct {
		Sync struct {
			Status    string   `json:"status"`
			Revision  string   `json:"revision"`
			Revisions []string `json:"revisions"` // of several sources
		} `json:"sync"`
		Health struct {
			Status string `json:"status"`
		} `json:"health"`
		OperationState *struct {
			Phase      string    `json:"phase"`
			FinishedAt time.Time `json:"finishedAt"` // zero: it runs
		} `json:"operationState"`
		Conditions []struct {
			Type string `json:"type"`
		} `json:"conditions"`
		Resources []struct { // of lists only
			Group     string `json:"group"`
			Version   string `json:"version"`
			Kind      string `json:"kind"`
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"resources"`
	} `json:"status"`
}

// application reads one.
func (s *session) application(ctx context.Context, n appName) (application, time.Time, error) {
	if !names.MatchString(n.name) || n.namespace != "" && !names.MatchString(n.namespace) {
		return application{}, time.Time{}, problem(events.RolloutNotFound, errGone)
	}
	// What lists are filled with is left out by reading into what has no place for it.
	var app struct{ application }
	at, err := s.get(ctx, []string{"applications", n.name}, n.query(), whole(&app))
	if err == nil && (app.Metadata.Name != n.name || n.namespace != "" && app.Metadata.Namespace != n.namespace) {
		err = malformed("argo cd answers with another application")
	}
	return app.application, at, err
}

// The words of Argo CD; others, of a version to come, are left out.
var (
	syncWords   = []string{"Synced", "OutOfSync", "Unknown"}
	healthWords = []string{"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
	phaseWords  = []string{"Running", "Succeeded", "Failed", "Error", "Terminating"}
)

func word(of []string, text, otherwise string) string {
	if slices.Contains(of, text) {
		return text
	}
	return otherwise
}

// maxRevision bounds a revision, in bytes: a commit has 40, a version of a chart less, a digest 71.
const maxRevision = 500

// revisions are commits, versions and digests, of several sources with commas between.
var revisions = regexp.MustCompile(`^[A-Za-z0-9._+:,/-]*$`)

// sync is how the cluster stands to the source.
func (a application) sync() string { return word(syncWords, a.Status.Sync.Status, "Unknown") }

// health is empty where it may not be read: an Argo CD that cannot reach the cluster, or not compare,
// goes on to say Healthy.
func (a application) health() string {
	if a.sync() == "Unknown" {
		return ""
	}
	for _, c := range a.Status.Conditions {
		if c.Type == "ComparisonError" {
			return ""
		}
	}
	return word(healthWords, a.Status.Health.Status, "Unknown")
}

// revision is that of the source, or those of all sources.
func (a application) revision() string {
	text := cmp.Or(a.Status.Sync.Revision, strings.Join(a.Status.Sync.Revisions, ","))
	if len(text) > maxRevision || !revisions.MatchString(text) {
		return ""
	}
	return text
}

// observation is what is seen before anybody looks into the tree.
func (a application) observation(at time.Time) events.Observation {
	o := events.Observation{At: at, Sync: a.sync(), Health: a.health(), Revision: a.revision()}
	if op := a.Status.OperationState; op != nil {
		o.OperationPhase = word(phaseWords, op.Phase, "")
		o.OperationFinished = op.FinishedAt.UTC()
	}
	return o
}
