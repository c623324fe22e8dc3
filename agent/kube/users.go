package kube

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"secretsbridge/events"
	"secretsbridge/internal/manifest"
)

// ref names a workload.
type ref struct{ kind, namespace, name string }

// scope says which workloads belong to a target.
type scope struct {
	selector string            // of their labels, as the API takes it; empty: all
	labels   map[string]string // the same, for what is not listed with it
	only     map[ref]bool      // nil: all
}

// user is a workload that uses one of the Secrets.
type user struct {
	seen    events.ObservedWorkload
	current bool
	health  string
}

// parent is what made a pod, in between: a ReplicaSet or a Job.
type parent struct {
	ref
	labels map[string]string
	by     ref // what made it; of no kind if nothing did
}

// scene is what one namespace shows of the users of some Secrets.
type scene struct {
	*client
	scope
	namespace string
	secrets   map[string]bool

	listed  map[ref]bool // all workloads that the selector chooses
	users   map[ref]*user
	parents map[string]parent // by UID
}

// users are the workloads of a scope that use one of the Secrets, and how they stand. Pods are
// judged by their own spec, because those of an older template may use what the newest does not.
func (c *client) users(ctx context.Context, in scope, held []events.ObservedSecret) ([]user, error) {
	byNamespace := map[string]map[string]bool{}
	for _, s := range held {
		if byNamespace[s.Namespace] == nil {
			byNamespace[s.Namespace] = map[string]bool{}
		}
		byNamespace[s.Namespace][s.Name] = true
	}
	var all []user
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		s := scene{
			client: c, scope: in, namespace: namespace, secrets: byNamespace[namespace],
			listed: map[ref]bool{}, users: map[ref]*user{}, parents: map[string]parent{},
		}
		if err := s.look(ctx); err != nil {
			return nil, err
		}
		for _, key := range slices.SortedFunc(maps.Keys(s.users), byName) {
			all = append(all, *s.users[key])
		}
		if len(all) > events.MaxObservedWorkloads {
			return nil, tooLarge("what uses the secret")
		}
	}
	return all, nil
}

func byName(a, b ref) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
}

func (s *scene) look(ctx context.Context) error {
	for _, k := range []struct {
		kind string
		from resource
	}{
		{"Deployment", deployments}, {"StatefulSet", statefulSets}, {"DaemonSet", daemonSets}, {"CronJob", cronJobs}, {"Rollout", rollouts},
	} {
		err := list(ctx, s.client, k.from, s.namespace, s.selector, wholeObject, func() {}, func(w workload) error {
			w.kind = k.kind
			s.workload(w)
			return nil
		})
		if errors.Is(err, errAbsent) && k.kind == "Rollout" {
			continue // Argo Rollouts is not installed
		}
		if err != nil {
			return err
		}
	}
	for kind, from := range map[string]resource{"ReplicaSet": replicaSets, "Job": jobs} {
		err := list(ctx, s.client, from, s.namespace, "", metadataOnly, func() {}, func(o owned) error {
			p := parent{ref: ref{kind, s.namespace, o.Metadata.Name}, labels: o.Metadata.Labels}
			kind, name, _ := o.Metadata.owner()
			p.by = ref{kind, s.namespace, name}
			s.parents[o.Metadata.UID] = p
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.pods(ctx)
}

// workload takes note of one, and counts it as a user if its template uses a Secret.
func (s *scene) workload(w workload) {
	key := ref{w.kind, s.namespace, w.Metadata.Name}
	s.listed[key] = true
	use := s.use(w.template())
	if from := (ref{cmp.Or(w.Spec.WorkloadRef.Kind, "Deployment"), s.namespace, w.Spec.WorkloadRef.Name}); w.kind == "Rollout" && s.users[from] != nil {
		use = s.users[from].seen.Use
	}
	if s.only != nil && !s.only[key] {
		return
	}
	u := &user{
		seen:    events.ObservedWorkload{Kind: w.kind, Namespace: s.namespace, Name: w.Metadata.Name, Use: use},
		current: w.current(), health: w.health(),
	}
	s.users[key] = u
}

// use is how a pod uses the Secrets; empty if it does not.
func (s *scene) use(spec manifest.PodSpec) events.WorkloadUse {
	var use events.WorkloadUse
	for name, how := range spec.Uses() {
		if s.secrets[name] && use != events.UseEnvironment {
			use = how
		}
	}
	return use
}

// pods adds those that use a Secret to the workloads that made them, and drops the workloads that
// use none.
func (s *scene) pods(ctx context.Context) error {
	count := 0
	begin := func() {
		count = 0
		for _, u := range s.users {
			u.seen.Pods = nil
		}
	}
	err := list(ctx, s.client, pods, s.namespace, "", wholeObject, begin, func(p pod) error {
		use := s.use(p.Spec)
		if use == "" || p.over() {
			return nil
		}
		root, labels := s.root(p)
		if !s.belongs(root, labels) {
			return nil
		}
		if count++; count > events.MaxObservedPods {
			return tooLarge("what uses the secret")
		}
		s.add(root, use, p)
		return nil
	})
	if err != nil {
		return err
	}
	for key, u := range s.users {
		if u.seen.Use == "" {
			delete(s.users, key)
			continue
		}
		slices.SortFunc(u.seen.Pods, func(a, b events.ObservedPod) int { return strings.Compare(a.Name, b.Name) })
	}
	return nil
}

// root is what made a pod in the end, and the labels by which that is chosen. What made it and is
// of a kind that nobody here knows is left out: then the pod, or what is right above it, stands
// for itself.
func (s *scene) root(p pod) (ref, map[string]string) {
	kind, name, uid := p.Metadata.owner()
	if known, ok := s.parents[uid]; ok {
		if makesPods(known.by.kind) {
			return known.by, nil
		}
		return known.ref, known.labels
	}
	if makesPods(kind) {
		return ref{kind, s.namespace, name}, nil
	}
	return ref{"Pod", s.namespace, p.Metadata.Name}, p.Metadata.Labels
}

func makesPods(kind string) bool {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Rollout", "ReplicaSet", "Job":
		return true
	}
	return false
}

// belongs reports whether a workload is one of the target's.
func (s *scene) belongs(root ref, labels map[string]string) bool {
	switch {
	case s.only != nil:
		return s.only[root]
	case s.listed[root] || s.selector == "":
		return true
	}
	for name, value := range s.labels {
		if labels[name] != value {
			return false
		}
	}
	return len(labels) > 0
}

func (s *scene) add(root ref, use events.WorkloadUse, p pod) {
	u := s.users[root]
	if u == nil { // not one of those that are listed: it stands as its pods do
		u = &user{seen: events.ObservedWorkload{Kind: root.kind, Namespace: root.namespace, Name: root.name, Use: use}, current: true, health: healthy}
		s.users[root] = u
	}
	if !s.listed[root] && root.kind != "Job" && !p.ready() {
		u.health = worse(u.health, progressing)
	}
	if u.seen.Use != events.UseEnvironment {
		u.seen.Use = use
	}
	u.seen.Pods = append(u.seen.Pods, events.ObservedPod{Name: p.Metadata.Name, Started: p.Metadata.Created.UTC(), Ready: p.ready()})
}
