package argocd

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

// view is one application at one look.
type view struct {
	session *session
	name    appName
	app     application
	tree    *tree
	kept    *lru.Cache[keptKey, object]
	read    int // manifests

	externals []external
	uses      map[string][]use // by namespace, of what was looked into
}

// external is an ExternalSecret.
type external struct {
	node
	object
}

// use is a workload that takes Secrets.
type use struct {
	at int
	object
}

// secretName is a Kubernetes Secret.
type secretName struct{ namespace, name string }

func (a secretName) compare(b secretName) int {
	return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
}

// readExternals looks into all ExternalSecrets, and each time into those that bring a secret of the
// looks. As installed, Argo CD does not take a status for a change (ignoreResourceUpdates of all
// kinds): when one was refreshed, the tree still has the state before.
func (v *view) readExternals(ctx context.Context, looks []gitops.Look) error {
	var at []int
	for i, n := range v.tree.nodes {
		if n.external() && n.ResourceVersion != "" {
			at = append(at, i)
		}
	}
	objects, err := v.objects(ctx, at, func(o object) bool {
		return slices.ContainsFunc(looks, func(l gitops.Look) bool { return o.external.Takes(l.About.Provider, l.About.Ref, "") })
	})
	if err != nil {
		return err
	}
	for i, o := range objects {
		if !o.gone {
			v.externals = append(v.externals, external{v.tree.nodes[at[i]], o})
		}
	}
	return nil
}

// errNotUsed says that no Secret of the application holds the secret.
var errNotUsed = errors.New("nothing in the application uses the secret")

// look says who holds the secret of one look, and who uses that.
func (v *view) look(ctx context.Context, look gitops.Look, o *events.Observation) error {
	holders := v.holders(look)
	if len(holders) == 0 {
		return problem(events.RolloutNotMapped, errNotUsed)
	}
	if len(holders) > events.MaxObservedSecrets {
		return tooLarge("more than 50 Secrets hold the secret")
	}
	o.Secrets = holders
	workloads := map[int]events.WorkloadUse{}
	for i, s := range holders {
		if i == 0 || holders[i-1].Namespace != s.Namespace {
			if err := v.readWorkloads(ctx, s.Namespace); err != nil {
				return err
			}
		}
		for _, u := range v.uses[s.Namespace] {
			if how, takes := u.uses[s.Name]; takes && workloads[u.at] != events.UseEnvironment {
				workloads[u.at] = how
			}
		}
	}
	if len(workloads) > events.MaxObservedWorkloads {
		return tooLarge("more than 200 workloads use the secret")
	}
	var err error
	o.Workloads, err = v.workloads(ctx, workloads)
	return err
}

// holders are the Secrets that hold a secret, in order: those that the watch names, or those that an
// ExternalSecret fills with it.
func (v *view) holders(look gitops.Look) []events.ObservedSecret {
	found := map[secretName]events.ObservedSecret{}
	if by := look.Watch.Target.Secret; by != "" {
		for _, name := range v.named(by) {
			found[name] = events.ObservedSecret{Namespace: name.namespace, Name: name.name}
		}
	}
	for _, e := range v.externals {
		name := secretName{e.Namespace, e.external.Secret()}
		if _, named := found[name]; look.Watch.Target.Secret != "" && !named {
			continue
		}
		// Of two that write the same Secret, that counts which was refreshed first.
		if other := found[name]; other.External != "" && !e.external.Refreshed().Before(other.Refreshed) {
			continue
		}
		if e.external.Takes(look.About.Provider, look.About.Ref, look.About.Version) {
			found[name] = events.ObservedSecret{
				Namespace: e.Namespace, Name: name.name, External: e.Name, Ready: e.external.Ready(), Refreshed: e.external.Refreshed(),
			}
		}
	}
	for _, n := range v.tree.nodes {
		if s, holds := found[secretName{n.Namespace, n.Name}]; holds && n.is("", "Secret") {
			s.ResourceVersion = n.ResourceVersion
			found[secretName{n.Namespace, n.Name}] = s
		}
	}
	var all []events.ObservedSecret
	for _, s := range found {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b events.ObservedSecret) int {
		return secretName{a.Namespace, a.Name}.compare(secretName{b.Namespace, b.Name})
	})
	return all
}

// named reads NAMESPACE/NAME, or NAME in the namespace that the application is for. Where it is for
// none, those of its Secrets count that have the name.
func (v *view) named(text string) []secretName {
	namespace, name, both := strings.Cut(text, "/")
	if both {
		return []secretName{{namespace, name}}
	}
	if to := v.app.Spec.Destination.Namespace; to != "" {
		return []secretName{{to, text}}
	}
	var all []secretName
	for _, n := range v.tree.nodes {
		if n.is("", "Secret") && n.Name == text {
			all = append(all, secretName{n.Namespace, n.Name})
		}
	}
	return all
}

// readWorkloads looks into what makes pods in a namespace.
func (v *view) readWorkloads(ctx context.Context, namespace string) error {
	if _, read := v.uses[namespace]; read {
		return nil
	}
	var at []int
	for i, n := range v.tree.nodes {
		if n.Namespace == namespace && n.makesPods() && n.ResourceVersion != "" && v.tree.maker(i) == i {
			at = append(at, i)
		}
	}
	objects, err := v.objects(ctx, at, still)
	if err != nil {
		return err
	}
	uses := []use{}
	for i, o := range objects {
		if o.template && !o.idle {
			template, err := v.template(ctx, at[i])
			if err != nil {
				return err
			}
			o.uses = template.uses
		}
		if !o.gone && !o.idle && !o.over {
			uses = append(uses, use{at[i], o})
		}
	}
	if v.uses == nil {
		v.uses = map[string][]use{}
	}
	v.uses[namespace] = uses
	return nil
}

// template looks into the newest ReplicaSet of a Rollout that takes its template from a Deployment:
// its own template is a copy, and the Deployment may be another application's.
func (v *view) template(ctx context.Context, rollout int) (object, error) {
	newest := -1
	for i, n := range v.tree.nodes {
		if n.is("apps", "ReplicaSet") && i != rollout && v.tree.maker(i) == rollout &&
			(newest < 0 || n.CreatedAt.After(v.tree.nodes[newest].CreatedAt)) {
			newest = i
		}
	}
	if newest < 0 {
		return object{}, nil // it has made nothing yet
	}
	found, err := v.objects(ctx, []int{newest}, still)
	if err != nil {
		return object{}, err
	}
	return found[0], nil
}

// workloads lists those that use the secret, in order, with their pods.
func (v *view) workloads(ctx context.Context, using map[int]events.WorkloadUse) ([]events.ObservedWorkload, error) {
	pods, err := v.pods(ctx, using)
	if err != nil {
		return nil, err
	}
	var all []events.ObservedWorkload
	for at, how := range using {
		n := v.tree.nodes[at]
		slices.SortFunc(pods[at], func(a, b events.ObservedPod) int { return strings.Compare(a.Name, b.Name) })
		all = append(all, events.ObservedWorkload{Kind: n.Kind, Namespace: n.Namespace, Name: n.Name, Use: how, Pods: pods[at]})
	}
	slices.SortFunc(all, func(a, b events.ObservedWorkload) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return all, nil
}

// pods lists the pods of some workloads that are not over. The tree tells that of most; the others are
// looked into.
func (v *view) pods(ctx context.Context, of map[int]events.WorkloadUse) (map[int][]events.ObservedPod, error) {
	pods := map[int][]events.ObservedPod{}
	count := 0
	take := func(maker, at int) {
		n := v.tree.nodes[at]
		pods[maker] = append(pods[maker], events.ObservedPod{Name: n.Name, Started: n.CreatedAt.UTC(), Ready: n.Health.Status == "Healthy"})
		count++
	}
	var makers, doubtful []int
	for i, n := range v.tree.nodes {
		if !n.is("", "Pod") || n.ResourceVersion == "" {
			continue
		}
		maker := v.tree.maker(i)
		switch _, counts := of[maker]; {
		case !counts:
		case n.CreatedAt.IsZero():
			return nil, malformed("a resource tree does not say when a pod was made")
		case n.lives():
			take(maker, i)
		default:
			makers, doubtful = append(makers, maker), append(doubtful, i)
		}
	}
	objects, err := v.objects(ctx, doubtful, still)
	if err != nil {
		return nil, err
	}
	for i, o := range objects {
		if !o.gone && !o.over {
			take(makers[i], doubtful[i])
		}
	}
	if count > events.MaxObservedPods {
		return nil, tooLarge("more than 5,000 pods use the secret")
	}
	return pods, nil
}
