package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/events"
)

// ExternalSecret is one of External Secrets Operator (external-secrets.io, v1beta1 and v1).
type ExternalSecret struct {
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Target Named `json:"target"`
		Data   []struct {
			RemoteRef remote `json:"remoteRef"`
		} `json:"data"`
		DataFrom []struct {
			Extract remote `json:"extract"`
		} `json:"dataFrom"`
	} `json:"spec"`
	Status struct {
		RefreshTime time.Time `json:"refreshTime"` // zero: never
		Conditions  []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// remote is a secret of a store.
type remote struct {
	Key     string `json:"key"`
	Version string `json:"version"`
}

// ParseExternalSecret reads a manifest in JSON. The error does not quote it.
func ParseExternalSecret(text []byte) (ExternalSecret, error) {
	var e ExternalSecret
	if err := json.Unmarshal(text, &e); err != nil {
		return ExternalSecret{}, fmt.Errorf("read an external secret: %w", unquoted(err))
	}
	return e, nil
}

// remotes are the secrets of its store that it names. Those that it finds by a pattern
// (dataFrom.find) are not among them.
func (e ExternalSecret) remotes() []remote {
	var all []remote
	for _, d := range e.Spec.Data {
		all = append(all, d.RemoteRef)
	}
	for _, d := range e.Spec.DataFrom {
		if d.Extract.Key != "" {
			all = append(all, d.Extract)
		}
	}
	return all
}

// Keys are the secrets of its store that it names, each once and in order.
func (e ExternalSecret) Keys() []string {
	var keys []string
	for _, r := range e.remotes() {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Takes reports whether it brings a version of a secret; see [events.SameSecret]. Where it pins a
// version, it brings no other; an empty version is any.
func (e ExternalSecret) Takes(provider events.ProviderKind, ref, version string) bool {
	return slices.ContainsFunc(e.remotes(), func(r remote) bool {
		return events.SameSecret(provider, ref, r.Key) &&
			(version == "" || r.newest() || r.Version == version)
	})
}

// newest reports whether it follows the secret: no version, or what AWS and GCP call the newest.
func (r remote) newest() bool {
	return r.Version == "" || r.Version == "AWSCURRENT" || r.Version == "latest"
}

// Secret is the name of the Secret that it writes, in its own namespace.
func (e ExternalSecret) Secret() string { return cmp.Or(e.Spec.Target.Name, e.Metadata.Name) }

// Ready reports whether its last refresh went well.
func (e ExternalSecret) Ready() bool {
	for _, c := range e.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// Refreshed is when it last asked its store; zero if never.
func (e ExternalSecret) Refreshed() time.Time { return e.Status.RefreshTime.UTC() }

// unquoted says what is wrong with a document without a word of it.
func unquoted(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("another type than expected at byte %d", kind.Offset)
	}
	return errors.New("not what a manifest says")
}
