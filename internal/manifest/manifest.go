// Package manifest reads from manifests of Kubernetes who takes which Secret, and what an
// ExternalSecret says of itself. Nothing else of a manifest is decoded: values of environment
// variables, annotations and arguments stay where they are.
package manifest

import (
	"secretsbridge/events"
)

// PodSpec is what of a pod's spec can name Secrets. Images are pulled with Secrets, too, but a pod
// that runs does not have those, so they are left out; so are those that a CSI driver
// brings, which are not the cluster's.
type PodSpec struct {
	InitContainers []Container `json:"initContainers"`
	Containers     []Container `json:"containers"`
	Volumes        []Volume    `json:"volumes"`
}

// Container is one of a pod.
type Container struct {
	Env []struct {
		ValueFrom struct {
			SecretKeyRef Named `json:"secretKeyRef"`
		} `json:"valueFrom"`
	} `json:"env"`
	EnvFrom []struct {
		SecretRef Named `json:"secretRef"`
	} `json:"envFrom"`
	VolumeMounts []struct {
		Name        string `json:"name"`
		SubPath     string `json:"subPath"`
		SubPathExpr string `json:"subPathExpr"`
	} `json:"volumeMounts"`
}

// Volume is one of a pod.
type Volume struct {
	Name   string `json:"name"`
	Secret struct {
		SecretName string `json:"secretName"`
	} `json:"secret"`
	Projected struct {
		Sources []struct {
			Secret Named `json:"secret"`
		} `json:"sources"`
	} `json:"projected"`
}

// Named is an object of the same namespace.
type Named struct {
	Name string `json:"name"`
}

// Uses says how a pod takes each Secret that it names. The environment counts before a volume, and
// a volume that a container mounts by a subPath is like the environment: the kubelet brings no new
// version there (Kubernetes documentation, "Secrets", using Secrets as files).
func (p PodSpec) Uses() map[string]events.WorkloadUse {
	uses := map[string]events.WorkloadUse{}
	take := func(name string, use events.WorkloadUse) {
		if name != "" && uses[name] != events.UseEnvironment {
			uses[name] = use
		}
	}
	fixed := map[string]bool{} // volumes that are mounted by a subPath
	for _, containers := range [][]Container{p.InitContainers, p.Containers} {
		for _, c := range containers {
			for _, env := range c.Env {
				take(env.ValueFrom.SecretKeyRef.Name, events.UseEnvironment)
			}
			for _, from := range c.EnvFrom {
				take(from.SecretRef.Name, events.UseEnvironment)
			}
			for _, mount := range c.VolumeMounts {
				if mount.SubPath != "" || mount.SubPathExpr != "" {
					fixed[mount.Name] = true
				}
			}
		}
	}
	for _, volume := range p.Volumes {
		use := events.UseVolume
		if fixed[volume.Name] {
			use = events.UseEnvironment
		}
		take(volume.Secret.SecretName, use)
		for _, source := range volume.Projected.Sources {
			take(source.Secret.Name, use)
		}
	}
	return uses
}
