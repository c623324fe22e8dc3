package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"

	"secretsbridge/events"
)

// Workload is what makes pods, or a pod by itself.
type Workload struct {
	Kind     string   `json:"kind"`
	Metadata Metadata `json:"metadata"`
	Spec     struct {
		Replicas *int     `json:"replicas"` // nil: the cluster's default, or a kind without
		Template template `json:"template"`

		// JobTemplate is a CronJob's.
		JobTemplate struct {
			Spec struct {
				Template template `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`

		// WorkloadRef is a Rollout's (Argo Rollouts) that takes its template from another workload,
		// in the same namespace.
		WorkloadRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"workloadRef"`

		PodSpec // a Pod's own
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"` // a Pod's
	} `json:"status"`
}

// Metadata is what of an object's is read.
type Metadata struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

type template struct {
	Spec PodSpec `json:"spec"`
}

// Parse reads a manifest in JSON of a Deployment, StatefulSet, DaemonSet, ReplicaSet, Rollout, Job,
// CronJob or Pod. The error does not quote it.
func Parse(text []byte) (Workload, error) {
	var w Workload
	if err := json.Unmarshal(text, &w); err != nil {
		return Workload{}, fmt.Errorf("read a manifest: %w", unquoted(err))
	}
	return w, nil
}

// Uses says how its pods take each Secret; see [PodSpec.Uses]. It is empty for a Rollout that
// takes its template from elsewhere.
func (w Workload) Uses() map[string]events.WorkloadUse {
	switch w.Kind {
	case "Pod":
		return w.Spec.PodSpec.Uses()
	case "CronJob":
		return w.Spec.JobTemplate.Spec.Template.Spec.Uses()
	}
	return w.Spec.Template.Spec.Uses()
}

// Idle reports whether it is told to have no pods.
func (w Workload) Idle() bool { return w.Spec.Replicas != nil && *w.Spec.Replicas == 0 }

// Over reports whether it is a pod that has ended and starts no more.
func (w Workload) Over() bool {
	return w.Kind == "Pod" && (w.Status.Phase == "Succeeded" || w.Status.Phase == "Failed")
}

// TemplateOf is the workload that a Rollout takes its template from; "" is its own.
func (w Workload) TemplateOf() (kind, name string) {
	if w.Spec.WorkloadRef.Name == "" {
		return "", ""
	}
	return cmp.Or(w.Spec.WorkloadRef.Kind, "Deployment"), w.Spec.WorkloadRef.Name
}
