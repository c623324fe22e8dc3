package kubefake

import (
	"fmt"
	"strings"
	"time"
)

// Deployment is one of n pods that takes a Secret into its environment, all of which are as
// its controller wants them. extra is more of its spec, as JSON members with a leading comma.
func Deployment(namespace, name, secret string, n int, extra string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%q,"namespace":%q,"generation":3,"labels":{"app":%q}},
		"spec":{"replicas":%d,"selector":{"matchLabels":{"app":%q}},"template":%s%s},
		"status":{"observedGeneration":3,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d,"availableReplicas":%d,
			"conditions":[{"type":"Available","status":"True","reason":"MinimumReplicasAvailable"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`,
		name, namespace, name, n, name, Template(secret), extra, n, n, n, n)
}

// Template is a pod's that takes a Secret into its environment, beside values that nobody may see.
func Template(secret string) string {
	return fmt.Sprintf(`{"metadata":{"labels":{"app":"x"}},"spec":%s}`, PodSpec(secret))
}

// PodSpec likewise.
func PodSpec(secret string) string {
	env := ""
	if secret != "" {
		env = fmt.Sprintf(`,{"name":"DB","valueFrom":{"secretKeyRef":{"name":%q,"key":"password"}}}`, secret)
	}
	return fmt.Sprintf(`{"containers":[{"name":"main","image":"registry.example/app:1","args":["--password=%s"],"env":[{"name":"PLAIN","value":%q}%s]}],"restartPolicy":"Always"}`, Canary, Canary, env)
}

// ReplicaSet is one that a workload owns.
func ReplicaSet(namespace, name, ownerKind, owner string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":%q,"namespace":%q%s},"spec":{"template":%s}}`,
		name, namespace, owned(namespace, ownerKind, owner), Template(""))
}

// Pod is one that runs and is ready.
func Pod(namespace, name, ownerKind, owner, spec string, started time.Time) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":%q,"labels":{"app":"x"},"creationTimestamp":%q%s},"spec":%s,
		"status":{"phase":"Running","podIP":"10.0.0.1","conditions":[{"type":"Initialized","status":"True"},{"type":"Ready","status":"True","lastTransitionTime":%q}]}}`,
		name, namespace, started.UTC().Format(time.RFC3339), owned(namespace, ownerKind, owner), spec, started.UTC().Format(time.RFC3339))
}

func owned(namespace, kind, name string) string {
	if kind == "" {
		return ""
	}
	return fmt.Sprintf(`,"ownerReferences":[{"apiVersion":"apps/v1","kind":%q,"name":%q,"uid":"uid-%s-%s-%s","controller":true,"blockOwnerDeletion":true}]`, kind, name, kind, namespace, name)
}

// ExternalSecret takes a key of its store and writes a Secret.
func ExternalSecret(version, namespace, name, secret, key string, ready bool, refreshed time.Time) string {
	state := map[bool]string{true: "True", false: "False"}[ready]
	at := "null"
	if !refreshed.IsZero() {
		at = `"` + refreshed.UTC().Format(time.RFC3339) + `"`
	}
	return fmt.Sprintf(`{"apiVersion":"external-secrets.io/%s","kind":"ExternalSecret","metadata":{"name":%q,"namespace":%q,"generation":1},
		"spec":{"refreshInterval":"1h","secretStoreRef":{"name":"vault","kind":"ClusterSecretStore"},"target":{"name":%q,"creationPolicy":"Owner"},
			"data":[{"secretKey":"password","remoteRef":{"key":%q,"property":"password"}}]},
		"status":{"refreshTime":%s,"syncedResourceVersion":"1-abc","binding":{"name":%q},"conditions":[{"type":"Ready","status":%q,"reason":"SecretSynced","message":"Secret was synced"}]}}`,
		version, name, namespace, secret, key, at, secret, state)
}

// Secret holds the canary.
func Secret(namespace, name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":%q,"namespace":%q},"type":"Opaque","data":{"password":%q}}`, name, namespace, Canary)
}

// Kustomization is one that applied some objects, given as NAMESPACE_NAME_GROUP_KIND. extra is
// more of its spec.
func Kustomization(namespace, name, conditions, extra string, inventory ...string) string {
	var entries []string
	for _, id := range inventory {
		entries = append(entries, fmt.Sprintf(`{"id":%q,"v":"v1"}`, id))
	}
	return fmt.Sprintf(`{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization","metadata":{"name":%q,"namespace":%q,"generation":2,"finalizers":["finalizers.fluxcd.io"]},
		"spec":{"interval":"10m0s","path":"./apps","prune":true,"sourceRef":{"kind":"GitRepository","name":"flux-system"}%s},
		"status":{"observedGeneration":2,"lastAppliedRevision":"main@sha1:4d0c9d2a","lastAttemptedRevision":"main@sha1:4d0c9d2a","conditions":%s,"inventory":{"entries":[%s]}}}`,
		name, namespace, extra, conditions, strings.Join(entries, ","))
}

// HelmRelease is one that was installed.
func HelmRelease(namespace, name, target, conditions string) string {
	return fmt.Sprintf(`{"apiVersion":"helm.toolkit.fluxcd.io/v2","kind":"HelmRelease","metadata":{"name":%q,"namespace":%q,"generation":5},
		"spec":{"interval":"5m","releaseName":%q,"targetNamespace":%q,"chart":{"spec":{"chart":"shop"}},"values":{"password":%q}},
		"status":{"observedGeneration":5,"lastAttemptedRevision":"6.5.4","lastAttemptedGeneration":5,"helmChart":"flux-system/shop",
			"history":[{"name":%q,"namespace":%q,"version":7,"status":"deployed","chartName":"shop","chartVersion":"6.5.4","digest":"sha256:1"}],"conditions":%s}}`,
		name, namespace, name, target, Canary, name, target, conditions)
}

// Ready is a Ready condition of Flux, since some time.
func Ready(status, reason string, since time.Time) string {
	return fmt.Sprintf(`[{"type":"Ready","status":%q,"reason":%q,"message":"Applied revision","observedGeneration":2,"lastTransitionTime":%q}]`, status, reason, since.UTC().Format(time.RFC3339))
}
