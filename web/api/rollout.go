package api

import "time"

// Rollout says whether a written patch is live where its secret is used.
type Rollout struct {
	State     string    `json:"state"` // watching, applied, failed, applied_unverified
	WrittenAt time.Time `json:"written_at"`
	Until     time.Time `json:"until"`             // applications are looked at until then
	Version   string    `json:"version,omitempty"` // the store's, that is to be live
	Left      int       `json:"left"`              // applications that use the secret and are not watched
	Live      int       `json:"live"`              // pods of all watches
	Total     int       `json:"total"`             // likewise
	Watches   []Watch   `json:"watches"`           // empty in lists
}

// Watch is one application that is looked at.
type Watch struct {
	Number      int         `json:"number"`
	Integration string      `json:"integration"`
	Kind        string      `json:"kind"` // argo-cd, flux, kubernetes
	Target      WatchTarget `json:"target"`
	State       string      `json:"state"` // as of Rollout
	Sync        string      `json:"sync,omitempty"`
	Health      string      `json:"health,omitempty"`
	Revision    string      `json:"revision,omitempty"`
	ReachedAt   *time.Time  `json:"reached_at,omitempty"` // by the cluster's clock
	Proof       string      `json:"proof,omitempty"`      // external_secret_refreshed, secret_changed
	Live        int         `json:"live"`
	Total       int         `json:"total"`
	Laggards    []string    `json:"laggards"` // NAMESPACE/POD, at most 20
	Problem     string      `json:"problem,omitempty"`
	SeenAt      *time.Time  `json:"seen_at,omitempty"`
	Link        string      `json:"link,omitempty"` // the application's page in Argo CD
}

// WatchTarget is what is looked at, in the words of the cluster.
type WatchTarget struct {
	Kind      string `json:"kind"` // Application, Kustomization, HelmRelease, Namespace
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Selector  string `json:"selector,omitempty"`
	Secret    string `json:"secret,omitempty"`
}
