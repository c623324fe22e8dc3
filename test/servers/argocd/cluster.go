package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// shop is the namespace of the application that is looked at.
const shop = "shop"

// repository makes a Git repository of the folders beside this file.
func (s *stack) repository() error {
	repo := s.path("repo")
	for _, folder := range []string{"shop", "broken"} {
		if err := os.CopyFS(filepath.Join(repo, folder), os.DirFS(folder)); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "shop"}} {
		cmd := exec.Command("git", append([]string{"-C", repo, "-c", "user.name=recording", "-c", "user.email=recording@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// application makes one that is synced by itself. What is broken is tried once.
func (s *stack) application(ctx context.Context, name, folder, server, namespace string) error {
	retries := 5 // as without a word of it
	if folder == "broken" {
		retries = 0
	}
	return s.kube.post(ctx, "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %s, namespace: argocd, labels: {team: payments}}
spec:
  project: default
  source: {repoURL: "file://%s", path: %s, targetRevision: main}
  destination: {server: "%s", namespace: %s}
  syncPolicy: {automated: {}, retry: {limit: %d}}
`, name, s.path("repo"), folder, server, namespace, retries))
}

// pod is what is looked at of one.
type pod struct {
	Metadata struct {
		Name              string
		CreationTimestamp time.Time
		OwnerReferences   []struct{ Name, Kind string }
	}
	Status struct{ Phase string }
}

func (s *stack) pods(ctx context.Context, label string) ([]pod, error) {
	var list struct{ Items []pod }
	err := s.kube.get(ctx, "/api/v1/namespaces/"+shop+"/pods?labelSelector="+label, &list)
	return list.Items, err
}

// ready says of all pods with a label that they run, as a kubelet would. Those of Jobs end.
func (s *stack) ready(ctx context.Context, label string) error {
	pods, err := s.pods(ctx, label)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Status.Phase != "Pending" {
			continue
		}
		now := time.Now().UTC().Format(time.RFC3339)
		state, phase, yes := `"running":{"startedAt":"`+now+`"}`, "Running", "True"
		if strings.HasPrefix(p.Metadata.Name, "seed") {
			state, phase, yes = `"terminated":{"exitCode":0,"reason":"Completed","startedAt":"`+now+`","finishedAt":"`+now+`"}`, "Succeeded", "False"
		}
		container, _, _ := strings.Cut(p.Metadata.Name, "-")
		patch := fmt.Sprintf(`{"status":{"phase":"%s","startTime":"%s","conditions":[{"type":"Ready","status":"%s","lastTransitionTime":"%s"},{"type":"ContainersReady","status":"%s","lastTransitionTime":"%s"}],
			"containerStatuses":[{"name":"%s","ready":%v,"started":true,"restartCount":0,"image":"registry.example/%s:1","imageID":"","state":{%s}}]}}`,
			phase, now, yes, now, yes, now, container, yes == "True", container, state)
		if err := s.kube.merge(ctx, "/api/v1/namespaces/"+shop+"/pods/"+p.Metadata.Name+"/status", patch); err != nil {
			return err
		}
	}
	return nil
}

// settle makes pods ready until there are as many as wanted, all of them running.
func (s *stack) settle(ctx context.Context, label string, want int) error {
	return s.become(ctx, label, "Running", want)
}

// over ends pods until as many as wanted have.
func (s *stack) over(ctx context.Context, label string, want int) error {
	return s.become(ctx, label, "Succeeded", want)
}

func (s *stack) become(ctx context.Context, label, phase string, want int) error {
	return until(ctx, "pods of "+label, func() error {
		if err := s.ready(ctx, label); err != nil {
			return err
		}
		pods, err := s.pods(ctx, label)
		if err != nil {
			return err
		}
		are := 0
		for _, p := range pods {
			if p.Status.Phase == phase {
				are++
			}
		}
		if are != want || len(pods) != want {
			return fmt.Errorf("%d of %d are %s", are, len(pods), phase)
		}
		return nil
	})
}

// refreshed writes what External Secrets Operator does after it asked its store: the Secret, and its
// own status.
func (s *stack) refreshed(ctx context.Context, name, value string) error {
	const base = "/apis/external-secrets.io/v1/namespaces/" + shop + "/externalsecrets/"
	var external struct{ Metadata struct{ UID string } }
	if err := s.kube.get(ctx, base+name, &external); err != nil {
		return err
	}
	secrets := "/api/v1/namespaces/" + shop + "/secrets"
	yaml := fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata:
  name: %s
  labels: {reconcile.external-secrets.io/managed: "true"}
  ownerReferences: [{apiVersion: external-secrets.io/v1, kind: ExternalSecret, name: %s, uid: "%s", controller: true, blockOwnerDeletion: true}]
stringData: {password: "%s"}
`, name, name, external.Metadata.UID, value)
	if err := s.kube.post(ctx, secrets, yaml); err != nil {
		if err := s.kube.merge(ctx, secrets+"/"+name, `{"stringData":{"password":"`+value+`"}}`); err != nil {
			return err
		}
	}
	return s.external(ctx, name, "True", "SecretSynced", "secret synced")
}

// external writes the status of an ExternalSecret.
func (s *stack) external(ctx context.Context, name, ready, reason, message string) error {
	now := time.Now().UTC().Format(time.RFC3339)
	refresh := `"refreshTime":"` + now + `",`
	if ready != "True" {
		refresh = "" // it keeps the time of the last that went well
	}
	return s.kube.merge(ctx, "/apis/external-secrets.io/v1/namespaces/"+shop+"/externalsecrets/"+name+"/status", fmt.Sprintf(
		`{"status":{%s"syncedResourceVersion":"1-5c3b","binding":{"name":"%s"},"conditions":[{"type":"Ready","status":"%s","reason":"%s","message":"%s","lastTransitionTime":"%s"}]}}`,
		refresh, name, ready, reason, message, now))
}

// rollout makes the ReplicaSet of the Rollout that Argo Rollouts would make for a revision, and
// writes its status.
func (s *stack) rollout(ctx context.Context, hash string, replicas int) error {
	var r struct{ Metadata struct{ UID string } }
	const path = "/apis/argoproj.io/v1alpha1/namespaces/" + shop + "/rollouts/api"
	if err := s.kube.get(ctx, path, &r); err != nil {
		return err
	}
	yaml := fmt.Sprintf(`
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: api-%s
  labels: {app: api, rollouts-pod-template-hash: %s}
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: api, uid: "%s", controller: true, blockOwnerDeletion: true}]
spec:
  replicas: %d
  selector: {matchLabels: {app: api, rollouts-pod-template-hash: %s}}
  template:
    metadata: {labels: {app: api, rollouts-pod-template-hash: %s}}
    spec:
      containers:
        - {name: api, image: registry.example/api:1, envFrom: [{secretRef: {name: db}}]}
`, hash, hash, r.Metadata.UID, replicas, hash, hash)
	return s.kube.post(ctx, "/apis/apps/v1/namespaces/"+shop+"/replicasets", yaml)
}

// scale sets the replicas of a ReplicaSet of the Rollout.
func (s *stack) scale(ctx context.Context, hash string, replicas int) error {
	return s.kube.merge(ctx, "/apis/apps/v1/namespaces/"+shop+"/replicasets/api-"+hash, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas))
}

// phase writes the status of the Rollout.
func (s *stack) phase(ctx context.Context, phase, hash string) error {
	const path = "/apis/argoproj.io/v1alpha1/namespaces/" + shop + "/rollouts/api"
	var r struct{ Metadata struct{ Generation int } }
	if err := s.kube.get(ctx, path, &r); err != nil {
		return err
	}
	return s.kube.merge(ctx, path+"/status", fmt.Sprintf(
		`{"status":{"phase":"%s","observedGeneration":"%d","currentPodHash":"%s","stableRS":"%s","replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}`,
		phase, r.Metadata.Generation, hash, hash))
}

// restart has a workload make its pods anew, as kubectl rollout restart does.
func (s *stack) restart(ctx context.Context, kind, name string) error {
	return s.kube.merge(ctx, "/apis/apps/v1/namespaces/"+shop+"/"+kind+"/"+name,
		`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"`+time.Now().UTC().Format(time.RFC3339)+`"}}}}}`)
}

// later waits until the clock of the cluster, which counts in seconds, has moved on.
func later(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remove deletes the pods of a workload at once, as if they had ended; its controller makes others.
func (s *stack) remove(ctx context.Context, label string) error {
	pods, err := s.pods(ctx, label)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if _, err := s.kube.call(ctx, http.MethodDelete, "/api/v1/namespaces/"+shop+"/pods/"+p.Metadata.Name+"?gracePeriodSeconds=0", "application/json", nil); err != nil {
			return err
		}
	}
	return nil
}

// stands waits until Argo CD says of an application what a judge of its JSON accepts.
func (s *stack) stands(ctx context.Context, name, what string, judge func(app) bool) error {
	return until(ctx, name+" "+what, func() error {
		var a app
		if err := s.argo.get(ctx, "/api/v1/applications/"+name, &a); err != nil {
			return err
		}
		if !judge(a) {
			text, _ := json.Marshal(a)
			return fmt.Errorf("it is %s", text)
		}
		return nil
	})
}

// app is what is looked at of an application.
type app struct {
	Status struct {
		Sync           struct{ Status string }
		Health         struct{ Status string }
		OperationState struct{ Phase string }
		Conditions     []struct{ Type, Message string }
	}
}

func (a app) is(sync, health string) bool {
	return a.Status.Sync.Status == sync && a.Status.Health.Status == health
}

// errFewer says that what is waited for is not there yet.
var errFewer = errors.New("not yet")

// settled waits until Argo CD's tree has what the cluster has: the same pods, in the same state.
func (s *stack) settled(ctx context.Context) error {
	return until(ctx, "the resource tree", func() error {
		var list struct {
			Items []struct {
				Metadata struct{ UID, ResourceVersion string }
			}
		}
		if err := s.kube.get(ctx, "/api/v1/namespaces/"+shop+"/pods", &list); err != nil {
			return err
		}
		var tree struct {
			Nodes []struct{ Kind, UID, ResourceVersion string }
		}
		if err := s.argo.get(ctx, "/api/v1/applications/shop/resource-tree", &tree); err != nil {
			return err
		}
		pods := map[string]string{}
		for _, n := range tree.Nodes {
			if n.Kind == "Pod" {
				pods[n.UID] = n.ResourceVersion
			}
		}
		for _, p := range list.Items {
			if pods[p.Metadata.UID] != p.Metadata.ResourceVersion {
				return errFewer
			}
		}
		if len(pods) != len(list.Items) {
			return errFewer
		}
		return nil
	})
}
