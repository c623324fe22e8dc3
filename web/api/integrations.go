package api

import "time"

// Integration is something outside that is told of facts, or that is looked at. What of it is a
// secret never comes out: only that there is one, and since when.
type Integration struct {
	Name        string              `json:"name"`
	Kind        string              `json:"kind"`  // webhook, slack, teams, argo-cd, flux, kubernetes
	State       string              `json:"state"` // active, disabled
	Address     string              `json:"address,omitempty"`
	CA          string              `json:"ca,omitempty"`
	Cluster     string              `json:"cluster,omitempty"`
	Namespace   string              `json:"namespace,omitempty"`
	Notices     []string            `json:"notices"`  // what it is told; none is all
	Projects    []string            `json:"projects"` // of which it is told; none is all
	Description string              `json:"description,omitempty"`
	Secrets     []IntegrationSecret `json:"secrets"`
	Mappings    int                 `json:"mappings"`
	Reason      string              `json:"reason,omitempty"` // why it is disabled
	CreatedAt   time.Time           `json:"created_at"`
	ChangedAt   time.Time           `json:"changed_at"`
	Seq         uint64              `json:"seq"` // of its newest fact
}

// IntegrationSecret says that there is one, never which.
type IntegrationSecret struct {
	Secret       string     `json:"secret"` // url, token, signing_key
	Version      int        `json:"version"`
	SetAt        time.Time  `json:"set_at"`
	OverlapUntil *time.Time `json:"overlap_until,omitempty"` // exclusive: the one before counts, too, until then
}

// CreateIntegration names one. What fields there are depends on the kind.
type CreateIntegration struct {
	Name        string   `json:"name"`
	Kind        string   `json:"kind"`
	URL         string   `json:"url,omitempty"`     // of what is told; it never comes out again, but its host
	Address     string   `json:"address,omitempty"` // of Argo CD
	Token       string   `json:"token,omitempty"`   // likewise; it never comes out again
	CA          string   `json:"ca,omitempty"`      // likewise: PEM of the only authorities that count
	Cluster     string   `json:"cluster,omitempty"` // of flux and kubernetes: whose agents look
	Namespace   string   `json:"namespace,omitempty"`
	Notices     []string `json:"notices,omitempty"`
	Projects    []string `json:"projects,omitempty"`
	Description string   `json:"description,omitempty"`
}

// CreatedIntegration is the answer. A webhook's key is shown here, and never again.
type CreatedIntegration struct {
	Name       string `json:"name"`
	SigningKey string `json:"signing_key,omitempty"` // whsec_…, of Standard Webhooks
	Seq        uint64 `json:"seq"`
}

// ChangeIntegration replaces all settings. Another address or other authorities of Argo CD need
// its token again, so that nobody sends a token elsewhere who does not have it.
type ChangeIntegration struct {
	Address     string   `json:"address,omitempty"`
	Token       string   `json:"token,omitempty"`
	CA          string   `json:"ca,omitempty"`
	Cluster     string   `json:"cluster,omitempty"`
	Namespace   string   `json:"namespace,omitempty"`
	Notices     []string `json:"notices,omitempty"`
	Projects    []string `json:"projects,omitempty"`
	Description string   `json:"description,omitempty"`
}

// RotateSecret puts another secret in the place of one.
type RotateSecret struct {
	Secret         string `json:"secret"`                    // url, token, signing_key
	URL            string `json:"url,omitempty"`             // of url
	Token          string `json:"token,omitempty"`           // of token
	OverlapSeconds *int   `json:"overlap_seconds,omitempty"` // of signing_key: how long the one before signs, too; a day unless it says otherwise
}

// RotatedSecret is the answer. A new signing key is shown here, and never again.
type RotatedSecret struct {
	Secret       string     `json:"secret"`
	Version      int        `json:"version"`
	SigningKey   string     `json:"signing_key,omitempty"`
	OverlapUntil *time.Time `json:"overlap_until,omitempty"`
	Seq          uint64     `json:"seq"`
}

// IntegrationTest is what became of a test. What is told gets a message, whose delivery says how
// it went; Argo CD was asked for its applications.
type IntegrationTest struct {
	Delivery     string `json:"delivery,omitempty"`
	Applications *int   `json:"applications,omitempty"` // that its token may see, as far as they were counted
	Seq          uint64 `json:"seq"`
}

// Mapping says which application uses which secrets.
type Mapping struct {
	ID         string            `json:"id"`
	Connection string            `json:"connection"`
	Ref        string            `json:"ref,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"` // native labels of the secrets, all of them; none with a ref
	Target     Target            `json:"target"`
	Origin     string            `json:"origin"` // hand, rule, discovered
	AddedAt    time.Time         `json:"added_at"`
}

// Target is what is watched, in the words of the cluster.
type Target struct {
	Kind      string `json:"kind"` // Application, Kustomization, HelmRelease, Namespace
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Selector  string `json:"selector,omitempty"` // LABEL=VALUE,… of the workloads of a Namespace
	Secret    string `json:"secret,omitempty"`   // NAME or NAMESPACE/NAME of the Kubernetes Secret; empty: found by its ExternalSecrets
}

// AddMapping says that an application uses a secret, or all with some labels.
type AddMapping struct {
	Connection string            `json:"connection"`
	Ref        string            `json:"ref,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Target     Target            `json:"target"`
	Discovered bool              `json:"discovered,omitempty"` // it was suggested, and is taken
}

// Application is one that Argo CD has, as it stood when it was asked.
type Application struct {
	Target  Target `json:"target"`
	Project string `json:"project,omitempty"` // of Argo CD
	Sync    string `json:"sync,omitempty"`
	Health  string `json:"health,omitempty"`
	Mapped  bool   `json:"mapped"` // some mapping names it
}

// Applications is a list that was made when it was asked for.
type Applications struct {
	Items []Application `json:"items"`
	More  bool          `json:"more,omitempty"` // there are more than these
}

// Suggestion is a mapping that somebody could take: an ExternalSecret of the application reads
// that secret.
type Suggestion struct {
	Connection string `json:"connection"`
	Ref        string `json:"ref"`
	Target     Target `json:"target"`
	Mapped     bool   `json:"mapped"` // there is that mapping
}

// Suggestions is a list that was made when it was asked for.
type Suggestions struct {
	Items []Suggestion `json:"items"`
	More  bool         `json:"more,omitempty"`
}
