package kube

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// fluxNamespace is where Flux keeps its objects unless a mapping says otherwise (flux bootstrap).
const fluxNamespace = "flux-system"

// helmName and helmNamespace are labels that Flux's helm-controller puts on all that a release
// renders.
const (
	helmName      = "helm.toolkit.fluxcd.io/name"
	helmNamespace = "helm.toolkit.fluxcd.io/namespace"
)

// kustomization looks at what a Kustomization applied, by its inventory.
func (c *client) kustomization(ctx context.Context, look agent.Look) (events.Observation, error) {
	k, err := get[fluxObject](ctx, c, kustomizations, cmp.Or(look.Target.Namespace, fluxNamespace), look.Target.Name, "", wholeObject)
	if err != nil {
		return events.Observation{}, err
	}
	in := scope{only: map[ref]bool{}}
	namespaces := map[string]bool{}
	for _, entry := range k.Status.Inventory.Entries {
		part := strings.Split(entry.ID, "_")
		if len(part) != 4 {
			continue // names with colons, such as of RBAC's objects, are written with more
		}
		namespace, name, kind := part[0], part[1], part[3]
		switch {
		case namespace == "":
		case makesPods(kind) || kind == "Pod":
			in.only[ref{kind, namespace, name}] = true
			namespaces[namespace] = true
		case kind == "ExternalSecret" || kind == "Secret":
			namespaces[namespace] = true
		}
	}
	if len(namespaces) == 0 {
		return events.Observation{}, &problem{events.RolloutNotMapped, "the Kustomization's inventory has no workloads and no Secrets"}
	}
	return c.flux(ctx, look, k, in, slices.Sorted(maps.Keys(namespaces)), k.Status.LastApplied)
}

// helmRelease looks at what a HelmRelease installed in its target namespace, by its labels.
func (c *client) helmRelease(ctx context.Context, look agent.Look) (events.Observation, error) {
	namespace := cmp.Or(look.Target.Namespace, fluxNamespace)
	h, err := get[fluxObject](ctx, c, helmReleases, namespace, look.Target.Name, "", wholeObject)
	if err != nil {
		return events.Observation{}, err
	}
	labels := map[string]string{helmName: look.Target.Name, helmNamespace: namespace}
	revision := h.Status.LastAttempted
	if len(h.Status.History) > 0 {
		revision = h.Status.History[0].ChartVersion
	}
	in := scope{selector: selectorOf(labels), labels: labels}
	return c.flux(ctx, look, h, in, []string{cmp.Or(h.Spec.TargetNamespace, namespace)}, revision)
}

// flux looks at the application and says of it what Flux says, and as healthy as the worst of both.
func (c *client) flux(ctx context.Context, look agent.Look, o fluxObject, in scope, namespaces []string, revision string) (events.Observation, error) {
	seen, err := c.application(ctx, look, in, namespaces)
	if err != nil {
		return seen, err
	}
	sync, health := o.stands()
	if sync != synced {
		seen.Sync = sync
	}
	seen.Health, seen.Revision = worse(seen.Health, health), revision
	ready, stalled := conditionOf(o.Status.Conditions, "Ready"), conditionOf(o.Status.Conditions, "Stalled")
	switch {
	case stalled.Status == "True": // no retry is left (kstatus)
		seen.OperationPhase, seen.OperationFinished = "Failed", stalled.Since.UTC()
	case ready.Status == "True":
		seen.OperationPhase, seen.OperationFinished = "Succeeded", ready.Since.UTC()
	default:
		seen.OperationPhase = "Running"
	}
	return seen, nil
}

// passing are reasons of a Ready condition that is False while Flux waits for something else.
var passing = []string{"DependencyNotReady", "ArtifactFailed", "SourceNotReady", "Progressing", "ProgressingWithRetry"}

// stands reads Ready, which Flux sets to Unknown while it works, and the generation that it saw.
func (o fluxObject) stands() (sync, health string) {
	ready := conditionOf(o.Status.Conditions, "Ready")
	current := o.Status.Observed == o.Metadata.Generation
	sync, health = outOfSync, progressing
	switch {
	case o.Spec.Suspend:
		health = suspended
	case current && ready.Status == "True":
		health = healthy
	case ready.Status == "False" && !slices.Contains(passing, ready.Reason):
		health = degraded
	}
	if current && ready.Status == "True" && (o.Status.LastApplied == "" || o.Status.LastApplied == o.Status.LastAttempted) {
		sync = synced
	}
	return sync, health
}
