package argocd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"secretsbridge/events"
	"secretsbridge/internal/manifest"
)

// maxManifest bounds a manifest, in bytes. The cluster's own store takes 1.5 MB (etcd,
// --max-request-bytes).
const maxManifest = 2 << 20

// maxKeys bounds the keys of an ExternalSecret together, in bytes.
const maxKeys = 16 << 10

var errOther = malformed("argo cd answers with another object")

// keptKey names a state of an object. It has the Argo CD and the application in it: what
// one says is not believed of another's.
type keptKey struct {
	id              events.IntegrationID
	address         string
	app             appName
	ref             objectRef
	resourceVersion string
}

// object is what is kept of a manifest.
type object struct {
	gone     bool
	external manifest.ExternalSecret       // of an ExternalSecret
	uses     map[string]events.WorkloadUse // of what makes pods, by the name of the Secret
	idle     bool                          // it is told to have no pods
	template bool                          // its template is elsewhere
	over     bool                          // a pod that is over
}

// objects reads the manifests of nodes, a few at the same time, and returns them in their order. Those
// that are known in this state are not read again, but for those that move without it.
func (v *view) objects(ctx context.Context, nodes []int, moves func(object) bool) ([]object, error) {
	found := make([]object, len(nodes))
	var missing []int
	for i, at := range nodes {
		if o, known := v.kept.Get(v.key(at)); known && !moves(o) {
			found[i] = o
			continue
		}
		missing = append(missing, i)
	}
	if v.read += len(missing); v.read > maxManifests {
		return nil, tooLarge("an application has more than 400 objects that have to be looked into")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wait sync.WaitGroup
		turn = make(chan struct{}, atOnce)
	)
	for _, i := range missing {
		wait.Add(1)
		turn <- struct{}{}
		go func() {
			defer func() { <-turn; wait.Done() }()
			if ctx.Err() != nil {
				return
			}
			o, err := v.session.object(ctx, v.name, v.tree.nodes[nodes[i]].objectRef)
			if err != nil {
				cancel(err)
				return
			}
			if found[i] = o; !o.gone {
				v.kept.Add(v.key(nodes[i]), o)
			}
		}()
	}
	wait.Wait()
	return found, context.Cause(ctx)
}

// still says of objects that all of them that is asked about is in their state.
func still(object) bool { return false }

func (v *view) key(at int) keptKey {
	n := v.tree.nodes[at]
	return keptKey{v.session.id, v.session.settings.Address, v.name, n.objectRef, n.ResourceVersion}
}

// object reads one manifest. Of an object that went meanwhile only that is said.
func (s *session) object(ctx context.Context, app appName, ref objectRef) (object, error) {
	if ref.is("", "Secret") {
		return object{}, fmt.Errorf("%w: a Secret is never asked for", errors.ErrUnsupported)
	}
	query := app.query()
	for name, value := range map[string]string{"namespace": ref.Namespace, "resourceName": ref.Name, "group": ref.Group, "version": ref.Version, "kind": ref.Kind} {
		query.Set(name, value)
	}
	var answer struct {
		Manifest string `json:"manifest"`
	}
	_, err := s.get(ctx, []string{"applications", app.name, "resource"}, query, whole(&answer))
	if isGone(err) {
		return object{gone: true}, nil
	}
	if err != nil {
		return object{}, err
	}
	if len(answer.Manifest) > maxManifest {
		return object{}, tooLarge("a manifest is beyond 2 MiB")
	}
	if ref.external() {
		return externalOf(answer.Manifest, ref)
	}
	return workloadOf(answer.Manifest, ref)
}

// externalOf keeps what a look asks of an ExternalSecret, and of bounded size.
func externalOf(text string, ref objectRef) (object, error) {
	e, err := manifest.ParseExternalSecret([]byte(text))
	if err != nil {
		return object{}, problem(events.RolloutMalformed, err)
	}
	if e.Metadata.Name != ref.Name {
		return object{}, errOther
	}
	size := 0
	for _, key := range e.Keys() {
		size += len(key)
	}
	if len(e.Spec.Data) > maxNames || len(e.Spec.DataFrom) > maxNames || size > maxKeys || len(e.Status.Conditions) > maxNames {
		return object{}, tooLarge("an ExternalSecret takes more than 200 keys, or more than 16 KiB of them")
	}
	if !names.MatchString(e.Secret()) {
		return object{}, malformed("an ExternalSecret writes a Secret that Kubernetes would not have")
	}
	return object{external: e}, nil
}

func workloadOf(text string, ref objectRef) (object, error) {
	w, err := manifest.Parse([]byte(text))
	if err != nil {
		return object{}, problem(events.RolloutMalformed, err)
	}
	if w.Kind != ref.Kind || w.Metadata.Name != ref.Name {
		return object{}, errOther
	}
	o := object{uses: w.Uses(), idle: w.Idle(), over: w.Over()}
	maps.DeleteFunc(o.uses, func(name string, _ events.WorkloadUse) bool { return !names.MatchString(name) }) // there can be none
	if len(o.uses) > maxNames {
		return object{}, tooLarge("a workload takes more than 200 Secrets")
	}
	_, elsewhere := w.TemplateOf()
	o.template = elsewhere != ""
	return o, nil
}

// isGone reports whether an object is not there: Argo CD says 404 where the cluster has it no more,
// and 400 where its own tree does not.
func isGone(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.status == http.StatusNotFound || s.status == http.StatusBadRequest)
}

// statusError is an answer that is not 200.
type statusError struct{ status int }

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("argo cd answers %d", e.status) }
