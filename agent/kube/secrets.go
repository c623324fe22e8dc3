package kube

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/manifest"
)

// secrets are the Secrets of some namespaces that hold what a look is about: the one that the
// mapping names, or those that ExternalSecrets write with it.
func (c *client) secrets(ctx context.Context, look agent.Look, namespaces []string) ([]events.ObservedSecret, error) {
	var all []events.ObservedSecret
	namedIn, named := namedSecret(look.Target.Secret)
	for _, namespace := range namespaces {
		if named != "" && namedIn != "" && namedIn != namespace {
			continue
		}
		found, pinned, err := c.externals(ctx, look, namespace, named)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && !pinned && named != "" && (namedIn != "" || len(namespaces) == 1) {
			version, err := c.secretVersion(ctx, namespace, named)
			if err != nil {
				return nil, err
			}
			found = []events.ObservedSecret{{Namespace: namespace, Name: named, ResourceVersion: version}}
		}
		if all = append(all, found...); len(all) > events.MaxObservedSecrets {
			return nil, tooLarge("what holds the secret")
		}
	}
	if len(all) == 0 {
		return nil, &problem{events.RolloutNotMapped, "no ExternalSecret in the target takes the secret, and the mapping names no Secret (NAMESPACE/NAME, where the target has several namespaces)"}
	}
	return all, nil
}

// namedSecret reads NAME or NAMESPACE/NAME.
func namedSecret(text string) (namespace, name string) {
	namespace, name, both := strings.Cut(text, "/")
	if !both {
		return "", namespace
	}
	return namespace, name
}

// externals are the ExternalSecrets of a namespace that bring the secret, each with the Secret that
// it writes; where the mapping names one, those that write it. pinned says that one brings another
// version and no other: then the Secret is nobody's proof. Where External Secrets Operator is
// not installed there are none.
func (c *client) externals(ctx context.Context, look agent.Look, namespace, named string) (found []events.ObservedSecret, pinned bool, err error) {
	each := func(e manifest.ExternalSecret) error {
		takes, other := e.Takes(look.Provider, look.Ref, look.Version), e.Takes(look.Provider, look.Ref, "")
		switch {
		case named != "" && e.Secret() != named, named == "" && !takes:
			return nil
		case !takes && other:
			pinned = true
			return nil
		}
		found = append(found, events.ObservedSecret{
			Namespace: namespace, Name: e.Secret(), External: e.Metadata.Name, Ready: e.Ready(), Refreshed: e.Refreshed(),
		})
		return nil
	}
	begin := func() { found, pinned = nil, false }
	err = list(ctx, c, externalSecrets, namespace, "", wholeObject, begin, each)
	if errors.Is(err, errAbsent) {
		err = list(ctx, c, oldExternalSecrets, namespace, "", wholeObject, begin, each)
	}
	if errors.Is(err, errAbsent) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return found, pinned, c.versions(ctx, namespace, found)
}

// versions adds the resourceVersions of Secrets that ExternalSecrets write. They prove a refresh
// sooner, and none is needed: where the agent may not see Secrets, nothing is said of them.
func (c *client) versions(ctx context.Context, namespace string, found []events.ObservedSecret) error {
	for i := range found {
		if c.denials.recent(namespace) {
			return nil
		}
		version, err := c.secretVersion(ctx, namespace, found[i].Name)
		if problemOf(err) == events.RolloutForbidden {
			c.denials.note(namespace)
			return nil
		}
		if err != nil {
			return err
		}
		found[i].ResourceVersion = version
	}
	return nil
}

// secretVersion is the resourceVersion of a Secret, or "" where there is none.
func (c *client) secretVersion(ctx context.Context, namespace, name string) (string, error) {
	got, err := get[table](ctx, c, secrets, namespace, name, withoutObject, tableOnly)
	switch {
	case errors.Is(err, errAbsent):
		return "", nil
	case err != nil:
		return "", err
	case got.Kind != "Table" || got.Metadata.ResourceVersion == "" || len(got.Rows) != 1 || got.Rows[0].Object != nil:
		return "", malformed("a table of the Secret")
	}
	return got.Metadata.ResourceVersion, nil
}

// denialMemory is how long a namespace is left alone whose Secrets the agent may not see: each
// refused request is a line in the cluster's audit log.
const denialMemory = 10 * time.Minute

// denials remembers them. It is safe for concurrent use.
type denials struct {
	mu sync.Mutex
	at map[string]time.Time // by namespace: there are as many as are allowed
}

func (d *denials) note(namespace string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = map[string]time.Time{}
	}
	d.at[namespace] = time.Now()
}

func (d *denials) recent(namespace string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, known := d.at[namespace]
	return known && time.Since(at) < denialMemory
}
