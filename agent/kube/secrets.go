package kube

import (
	"context"
	"errors"
	"strings"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/manifest"
)

// secrets are the Secrets of some namespaces that hold what a look is about: the one that the
// mapping names, or those that ExternalSecrets write with it. A Secret itself is asked about only
// where no ExternalSecret says when it was brought: then its resourceVersion is all there is.
func (c *client) secrets(ctx context.Context, look agent.Look, namespaces []string) ([]events.ObservedSecret, error) {
	var all []events.ObservedSecret
	namedIn, named := namedSecret(look.Target.Secret)
	for _, namespace := range namespaces {
		if named != "" && namedIn != "" && namedIn != namespace {
			continue
		}
		found, err := c.externals(ctx, namespace, func(e manifest.ExternalSecret) bool {
			if named != "" {
				return e.Secret() == named
			}
			return e.Takes(look.Provider, look.Ref, look.Version)
		})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && named != "" && (namedIn != "" || len(namespaces) == 1) {
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

// externals are the ExternalSecrets that count, each with the Secret that it writes. Where External
// Secrets Operator is not installed there are none.
func (c *client) externals(ctx context.Context, namespace string, counts func(manifest.ExternalSecret) bool) ([]events.ObservedSecret, error) {
	var found []events.ObservedSecret
	each := func(e manifest.ExternalSecret) error {
		if counts(e) {
			found = append(found, events.ObservedSecret{
				Namespace: namespace, Name: e.Secret(), External: e.Metadata.Name, Ready: e.Ready(), Refreshed: e.Refreshed(),
			})
		}
		return nil
	}
	begin := func() { found = nil }
	err := list(ctx, c, externalSecrets, namespace, "", wholeObject, begin, each)
	if errors.Is(err, errAbsent) {
		err = list(ctx, c, oldExternalSecrets, namespace, "", wholeObject, begin, each)
	}
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	return found, err
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
