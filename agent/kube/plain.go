package kube

import (
	"context"
	"maps"
	"slices"
	"strings"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// namespace looks at the workloads of a namespace, all of them or those with some labels.
func (c *client) namespace(ctx context.Context, look agent.Look) (events.Observation, error) {
	in, err := chosen(look.Target.Selector)
	if err != nil {
		return events.Observation{}, err
	}
	return c.application(ctx, look, in, []string{look.Target.Name})
}

// application looks at the Secrets and their users in some namespaces.
func (c *client) application(ctx context.Context, look agent.Look, in scope, namespaces []string) (events.Observation, error) {
	held, err := c.secrets(ctx, look, namespaces)
	if err != nil {
		return events.Observation{}, err
	}
	users, err := c.users(ctx, in, held)
	if err != nil {
		return events.Observation{}, err
	}
	seen := events.Observation{Secrets: held}
	seen.Sync, seen.Health = together(users)
	for _, u := range users {
		seen.Workloads = append(seen.Workloads, u.seen)
	}
	return seen, nil
}

// chosen reads LABEL=VALUE,… and is the scope of the workloads with all of these labels.
func chosen(selector string) (scope, error) {
	if selector == "" {
		return scope{}, nil
	}
	labels := map[string]string{}
	for part := range strings.SplitSeq(selector, ",") {
		label, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || label == "" || strings.ContainsAny(label+value, "=!() <>") {
			return scope{}, &problem{events.RolloutNotFound, "the mapping's selector is not LABEL=VALUE,…"}
		}
		labels[label] = value
	}
	return scope{selector: selectorOf(labels), labels: labels}, nil
}

// selectorOf writes labels as the API takes them.
func selectorOf(labels map[string]string) string {
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, label+"="+labels[label])
	}
	return strings.Join(parts, ",")
}
