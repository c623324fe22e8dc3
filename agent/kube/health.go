package kube

import "slices"

// The healths of an application, from the best to the worst, in the words and the order of Argo CD
// (gitops-engine, pkg/health).
const (
	healthy     = "Healthy"
	suspended   = "Suspended"
	progressing = "Progressing"
	degraded    = "Degraded"
	unknown     = "Unknown"
)

var healths = []string{healthy, suspended, progressing, degraded, unknown}

// worse is the worse of two.
func worse(a, b string) string {
	return healths[max(slices.Index(healths, a), slices.Index(healths, b))]
}

const (
	synced    = "Synced"
	outOfSync = "OutOfSync"
)

// together is how users stand as one: synced when each controller has seen the newest spec, and as
// healthy as the worst.
func together(users []user) (sync, health string) {
	sync, health = synced, healthy
	for _, u := range users {
		if !u.current {
			sync = outOfSync
		}
		health = worse(health, u.health)
	}
	return sync, health
}

// health judges a workload as Argo CD does.
func (w workload) health() string {
	if w.kind == "CronJob" {
		return healthy // one that is suspended runs nothing that could be old
	}
	if !w.current() {
		return progressing
	}
	switch w.kind {
	case "Deployment":
		return w.deployment()
	case "StatefulSet":
		return w.statefulSet()
	case "DaemonSet":
		return w.daemonSet()
	}
	return w.rollout()
}

func (w workload) deployment() string {
	switch {
	case w.Spec.Paused:
		return suspended
	case conditionOf(w.Status.Conditions, "Progressing").Reason == "ProgressDeadlineExceeded":
		return degraded
	case w.replicas() > w.Status.UpdatedReplicas, w.Status.Replicas > w.Status.UpdatedReplicas, w.Status.AvailableReplicas < w.Status.UpdatedReplicas:
		return progressing
	}
	return healthy
}

func (w workload) statefulSet() string {
	partition := w.Spec.UpdateStrategy.RollingUpdate.Partition
	switch {
	case w.Status.ReadyReplicas < w.replicas():
		return progressing
	case w.Spec.UpdateStrategy.Type == "OnDelete":
		return healthy
	case partition > 0:
		if w.Status.UpdatedReplicas < w.replicas()-partition {
			return progressing
		}
		return healthy
	case w.Status.UpdateRevision != w.Status.CurrentRevision:
		return progressing
	}
	return healthy
}

func (w workload) daemonSet() string {
	switch {
	case w.Spec.UpdateStrategy.Type == "OnDelete":
		return healthy
	case w.Status.UpdatedScheduled < w.Status.DesiredScheduled, w.Status.AvailableDaemons < w.Status.DesiredScheduled:
		return progressing
	}
	return healthy
}

// rollout believes what Argo Rollouts says in status.phase.
func (w workload) rollout() string {
	switch w.Status.Phase {
	case "Healthy":
		return healthy
	case "Paused":
		return suspended
	case "Progressing":
		return progressing
	case "Degraded":
		return degraded
	}
	return unknown
}
