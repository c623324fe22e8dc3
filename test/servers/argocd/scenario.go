package main

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
)

// record takes the application shop through the life of a rotation, and others through what goes
// wrong.
func record(ctx context.Context, s *stack, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	const here = "https://kubernetes.default.svc"
	if err := s.repository(); err != nil {
		return err
	}
	if err := s.kube.post(ctx, "/api/v1/nodes", "apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n"); err != nil {
		return err
	}
	look := func(name, of string) error {
		all, err := s.look(ctx, of)
		if err != nil {
			return err
		}
		return save(out, name, all)
	}

	// As it stands: everything runs with the first version.
	if err := s.application(ctx, "shop", "shop", here, shop); err != nil {
		return err
	}
	if err := s.stands(ctx, "shop", "synced", func(a app) bool { return a.Status.Sync.Status == "Synced" }); err != nil {
		return err
	}
	for name, value := range map[string]string{"db": "first", "mail": "first"} {
		if err := s.refreshed(ctx, name, value); err != nil {
			return err
		}
	}
	if err := s.rollout(ctx, "6c5d8f9b7c", 2); err != nil {
		return err
	}
	if err := s.phase(ctx, "Healthy", "6c5d8f9b7c"); err != nil {
		return err
	}
	for label, want := range map[string]int{"app%3Dweb": 3, "app%3Dqueue": 2, "app%3Dlogs": 1, "app%3Dreport": 1, "app%3Dfront": 2, "app%3Dapi": 2} {
		if err := s.settle(ctx, label, want); err != nil {
			return err
		}
	}
	if err := s.over(ctx, "app%3Dseed", 1); err != nil {
		return err
	}
	healthy := func(a app) bool { return a.is("Synced", "Healthy") }
	if err := s.stands(ctx, "shop", "healthy", healthy); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	if err := later(ctx); err != nil {
		return err
	}
	if err := look("healthy", "shop"); err != nil {
		return err
	}

	// Rotated: the Secret has the new version, and some pods have started anew.
	if err := s.refreshed(ctx, "db", "second"); err != nil {
		return err
	}
	if err := later(ctx); err != nil {
		return err
	}
	if err := s.restart(ctx, "deployments", "web"); err != nil {
		return err
	}
	if err := s.rollout(ctx, "7f4b9d8c65", 1); err != nil {
		return err
	}
	if err := s.phase(ctx, "Progressing", "7f4b9d8c65"); err != nil {
		return err
	}
	if err := s.stands(ctx, "shop", "progressing", func(a app) bool { return a.Status.Health.Status == "Progressing" }); err != nil {
		return err
	}
	for label, want := range map[string]int{"app%3Dweb": 4, "app%3Dapi": 3} {
		if err := until(ctx, "new pods of "+label, func() error {
			pods, err := s.pods(ctx, label)
			if err == nil && len(pods) != want {
				err = errFewer
			}
			return err
		}); err != nil {
			return err
		}
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	if err := look("progressing", "shop"); err != nil {
		return err
	}

	// Live: every pod that has the secret in its environment is newer.
	if err := s.scale(ctx, "6c5d8f9b7c", 0); err != nil {
		return err
	}
	if err := s.scale(ctx, "7f4b9d8c65", 2); err != nil {
		return err
	}
	if err := s.remove(ctx, "app%3Dqueue"); err != nil {
		return err
	}
	for label, want := range map[string]int{"app%3Dweb": 3, "app%3Dqueue": 2, "app%3Dapi": 2} {
		if err := s.settle(ctx, label, want); err != nil {
			return err
		}
	}
	if err := s.phase(ctx, "Healthy", "7f4b9d8c65"); err != nil {
		return err
	}
	if err := s.stands(ctx, "shop", "healthy again", healthy); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	if err := look("live", "shop"); err != nil {
		return err
	}

	// The ExternalSecret was refreshed again, as it is each hour, and nothing changed. As installed, Argo
	// CD does not take a status for a change: its tree still has the object as it was.
	if err := later(ctx); err != nil {
		return err
	}
	if err := s.external(ctx, "db", "True", "SecretSynced", "secret synced"); err != nil {
		return err
	}
	if err := look("refreshed", "shop"); err != nil {
		return err
	}

	// The store refuses: the ExternalSecret is not ready, the application degraded.
	if err := s.external(ctx, "db", "False", "SecretSyncedError", "could not get secret data from provider"); err != nil {
		return err
	}
	if err := s.stands(ctx, "shop", "degraded", func(a app) bool { return a.Status.Health.Status == "Degraded" }); err != nil {
		return err
	}
	if err := look("degraded", "shop"); err != nil {
		return err
	}
	if err := s.external(ctx, "db", "True", "SecretSynced", "secret synced"); err != nil {
		return err
	}

	// Somebody changed the cluster by hand.
	if err := s.kube.merge(ctx, "/apis/apps/v1/namespaces/"+shop+"/deployments/front", `{"spec":{"replicas":1}}`); err != nil {
		return err
	}
	if err := s.stands(ctx, "shop", "out of sync", func(a app) bool { return a.is("OutOfSync", "Healthy") }); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	if err := look("out-of-sync", "shop"); err != nil {
		return err
	}

	// A sync that the cluster refuses.
	if err := s.application(ctx, "broken", "broken", here, shop); err != nil {
		return err
	}
	if err := s.stands(ctx, "broken", "failed", func(a app) bool { return a.Status.OperationState.Phase == "Failed" }); err != nil {
		return err
	}
	if err := look("operation-failed", "broken"); err != nil {
		return err
	}

	if err := recordFar(ctx, s, out); err != nil {
		return err
	}
	return recordRefusals(ctx, s, out)
}

// recordFar takes an application whose cluster goes away.
func recordFar(ctx context.Context, s *stack, out string) error {
	var err error
	if s.far, err = forward(farPort, kubePort); err != nil {
		return err
	}
	const server = "https://127.0.0.1:" + farPort
	err = s.kube.post(ctx, "/api/v1/namespaces/argocd/secrets", `
apiVersion: v1
kind: Secret
metadata: {name: far, labels: {argocd.argoproj.io/secret-type: cluster}}
stringData: {name: far, server: "`+server+`", config: '{"bearerToken":"`+kubeToken+`","tlsClientConfig":{"insecure":true}}'}
`)
	if err != nil {
		return err
	}
	if err := s.application(ctx, "far", "shop", server, "far"); err != nil {
		return err
	}
	if err := s.stands(ctx, "far", "synced", func(a app) bool { return a.Status.Sync.Status == "Synced" }); err != nil {
		return err
	}
	s.far.close()
	// Argo CD notices when it compares again; a look at the source makes it.
	unknown := func(a app) bool {
		return a.Status.Sync.Status == "Unknown" && slices.ContainsFunc(a.Status.Conditions, func(c struct{ Type, Message string }) bool { return c.Type == "ComparisonError" })
	}
	if _, err := s.argo.call(ctx, http.MethodPost, "/api/v1/clusters/https%3A%2F%2F127.0.0.1%3A"+farPort+"/invalidate-cache", "application/json", []byte("{}")); err != nil {
		return err
	}
	if err := until(ctx, "far unknown", func() error {
		var a app
		if err := s.argo.get(ctx, "/api/v1/applications/far?refresh=normal", &a); err != nil {
			return err
		}
		if !unknown(a) {
			return errFewer
		}
		return nil
	}); err != nil {
		return err
	}
	all, err := s.look(ctx, "far")
	if err != nil {
		return err
	}
	return save(out, "cluster-unreachable", all)
}

// recordRefusals asks for what is not given, and for lists.
func recordRefusals(ctx context.Context, s *stack, out string) error {
	if err := s.application(ctx, "hidden", "broken", "https://kubernetes.default.svc", shop); err != nil {
		return err
	}
	err := s.saveAll(ctx, out, "refusals", "/api/v1/applications/missing", "/api/v1/applications/hidden", "/api/v1/applications/hidden/resource-tree",
		"/api/v1/applications/shop/resource?group=apps&kind=Deployment&namespace=shop&resourceName=missing&version=v1",
		"/api/v1/applications/shop?appNamespace=elsewhere")
	if err != nil {
		return err
	}
	signed := s.token[:strings.LastIndexByte(s.token, '.')+1]
	for name, token := range map[string]string{"no-token": "", "wrong-token": signed + strings.Repeat("A", 43)} { // signed by another key
		e, err := s.read(ctx, token, "/api/v1/applications/shop")
		if err != nil {
			return err
		}
		if err := save(out, name, []exchange{e}); err != nil {
			return err
		}
	}
	return s.saveAll(ctx, out, "lists",
		"/api/v1/applications?fields=items.metadata.name%2Citems.metadata.namespace%2Citems.spec.project%2Citems.status.sync.status%2Citems.status.health",
		"/api/v1/applications?fields=items.metadata.name%2Citems.metadata.namespace%2Citems.status.resources",
		"/api/v1/applications/shop/resource?appNamespace=argocd&group=external-secrets.io&kind=ExternalSecret&namespace=shop&resourceName=db&version=v1",
		"/api/v1/applications/shop/resource?appNamespace=argocd&group=external-secrets.io&kind=ExternalSecret&namespace=shop&resourceName=mail&version=v1")
}

// saveAll records paths as they are.
func (s *stack) saveAll(ctx context.Context, out, name string, paths ...string) error {
	var all []exchange
	for _, path := range paths {
		e, err := s.read(ctx, s.token, path)
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	return save(out, name, all)
}
