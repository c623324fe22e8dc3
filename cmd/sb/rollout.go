package main

import (
	"fmt"
	"strings"

	"secretsbridge/web/api"
)

// rolloutText is whether a written patch is live where its secret is used, for people.
func rolloutText(r api.Request) []string {
	if r.Rollout == nil {
		return nil
	}
	o := r.Rollout
	said := watchState(o.State)
	if o.State == "watching" {
		said += " until " + when(o.Until)
	}
	pairs := []string{"Rollout", fmt.Sprintf("%s: live on %d of %d", said, o.Live, o.Total)}
	for _, w := range o.Watches {
		pairs = append(pairs, "Application", watchText(w))
	}
	if o.Left > 0 {
		pairs = append(pairs, "Attention", fmt.Sprintf("%d more applications use the secret and are not watched", o.Left))
	}
	return pairs
}

func watchState(s string) string {
	switch s {
	case "watching":
		return "watched"
	case "applied_unverified":
		return "written, and nobody could tell whether it is live"
	}
	return s
}

// problemText says why nothing could be seen of an application.
var problemText = map[string]string{
	"unreachable": "it cannot be reached", "unauthorized": "the token counts no more", "forbidden": "the token may not see it, or it is not there",
	"not_found": "it is not there", "malformed": "its answer makes no sense", "too_large": "it is too large to look at", "untrusted": "its certificate is not trusted",
	"no_agent": "no agent of the cluster looks", "not_used": "nothing in it uses the secret", "disabled": "the integration was disabled or removed",
}

func watchText(w api.Watch) string {
	at := w.Target.Name
	if w.Target.Namespace != "" {
		at = w.Target.Namespace + "/" + at
	}
	said := fmt.Sprintf("%s at %s: %s", at, w.Integration, watchState(w.State))
	switch {
	case w.Problem != "":
		said += "; " + problemText[w.Problem]
	case w.ReachedAt == nil:
		said += "; the new version is not known to be in the cluster"
	}
	if w.Total > 0 && w.ReachedAt != nil {
		said += fmt.Sprintf("; live on %d of %d", w.Live, w.Total)
	}
	if len(w.Laggards) > 0 && w.ReachedAt != nil {
		said += ", older: " + strings.Join(w.Laggards, ", ")
		if more := w.Total - w.Live - len(w.Laggards); more > 0 {
			said += fmt.Sprintf(" and %d more", more)
		}
	}
	if words := strings.Join(strings.Fields(w.Sync+" "+w.Health), ", "); words != "" {
		said += " (" + words + ")"
	}
	return said
}
