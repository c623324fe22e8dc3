package kube

import (
	"strconv"
	"strings"
	"time"

	"secretsbridge/internal/manifest"
)

// These are the objects of Kubernetes, Argo Rollouts and Flux, as far as they are read. What a
// pod's environment, an annotation or an argument says is not decoded.

type metadata struct {
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace"`
	UID        string            `json:"uid"`
	Generation int64             `json:"generation"`
	Created    time.Time         `json:"creationTimestamp"`
	Labels     map[string]string `json:"labels"`
	Owners     []struct {
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		UID        string `json:"uid"`
		Controller bool   `json:"controller"`
	} `json:"ownerReferences"`
}

// owner is who made an object: its kind, name and UID, or "" thrice.
func (m metadata) owner() (kind, name, uid string) {
	for _, o := range m.Owners {
		if o.Controller {
			return o.Kind, o.Name, o.UID
		}
	}
	return "", "", ""
}

// owned is an object of which only the metadata was asked for.
type owned struct {
	Metadata metadata `json:"metadata"`
}

type condition struct {
	Type   string    `json:"type"`
	Status string    `json:"status"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"lastTransitionTime"`
}

// conditionOf is the condition of a type, or the zero one.
func conditionOf(all []condition, kind string) condition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

type pod struct {
	Metadata metadata         `json:"metadata"`
	Spec     manifest.PodSpec `json:"spec"`
	Status   struct {
		Phase      string      `json:"phase"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// over reports whether its containers have ended for good.
func (p pod) over() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

func (p pod) ready() bool { return conditionOf(p.Status.Conditions, "Ready").Status == "True" }

type podTemplate struct {
	Spec manifest.PodSpec `json:"spec"`
}

// workload is a Deployment, StatefulSet, DaemonSet, Rollout or CronJob. Each has some of the fields.
type workload struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Replicas    *int        `json:"replicas"`
		Paused      bool        `json:"paused"`
		Template    podTemplate `json:"template"`
		JobTemplate struct {
			Spec struct {
				Template podTemplate `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
		UpdateStrategy struct {
			Type          string `json:"type"`
			RollingUpdate struct {
				Partition int `json:"partition"`
			} `json:"rollingUpdate"`
		} `json:"updateStrategy"`
		WorkloadRef struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"workloadRef"`
	} `json:"spec"`
	Status struct {
		Observed          number      `json:"observedGeneration"`
		Phase             string      `json:"phase"` // of a Rollout
		Replicas          int         `json:"replicas"`
		UpdatedReplicas   int         `json:"updatedReplicas"`
		ReadyReplicas     int         `json:"readyReplicas"`
		AvailableReplicas int         `json:"availableReplicas"`
		CurrentRevision   string      `json:"currentRevision"`
		UpdateRevision    string      `json:"updateRevision"`
		DesiredScheduled  int         `json:"desiredNumberScheduled"`
		UpdatedScheduled  int         `json:"updatedNumberScheduled"`
		AvailableDaemons  int         `json:"numberAvailable"`
		Conditions        []condition `json:"conditions"`
	} `json:"status"`

	kind string
}

// template is that of its pods.
func (w workload) template() manifest.PodSpec {
	if w.kind == "CronJob" {
		return w.Spec.JobTemplate.Spec.Template.Spec
	}
	return w.Spec.Template.Spec
}

// replicas is how many pods are wanted; the API's default is one.
func (w workload) replicas() int {
	if w.Spec.Replicas == nil {
		return 1
	}
	return *w.Spec.Replicas
}

// current reports whether its controller has seen the newest of its spec. A CronJob has no
// observedGeneration.
func (w workload) current() bool {
	return w.kind == "CronJob" || int64(w.Status.Observed) >= w.Metadata.Generation
}

// number is one that Argo Rollouts writes as text.
type number int64

// UnmarshalJSON implements [json.Unmarshaler]. What is no number counts as none: an early version
// of Argo Rollouts wrote a hash there.
func (n *number) UnmarshalJSON(text []byte) error {
	parsed, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		parsed = 0
	}
	*n = number(parsed)
	return nil
}

// table is what the API makes of a Secret.
type table struct {
	Kind     string `json:"kind"`
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Rows []struct {
		Object *struct{} `json:"object"`
	} `json:"rows"`
}

// fluxObject is a Kustomization or a HelmRelease.
type fluxObject struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Suspend         bool   `json:"suspend"`
		TargetNamespace string `json:"targetNamespace"`
	} `json:"spec"`
	Status struct {
		Observed      int64       `json:"observedGeneration"`
		Conditions    []condition `json:"conditions"`
		LastApplied   string      `json:"lastAppliedRevision"`
		LastAttempted string      `json:"lastAttemptedRevision"`
		Inventory     struct {
			Entries []struct {
				ID string `json:"id"` // NAMESPACE_NAME_GROUP_KIND
			} `json:"entries"`
		} `json:"inventory"`
		History []struct {
			ChartVersion string `json:"chartVersion"`
		} `json:"history"` // of a HelmRelease, the newest first
	} `json:"status"`
}
