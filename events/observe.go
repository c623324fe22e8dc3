package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Observe is what the ticket of a look at a rollout adds: which application of the agent's
// cluster, and what is to be live there. Which secret that is, of which kind of provider, is
// in the ticket itself, and its Until is the end of this one look.
type Observe struct {
	Watch   Watch     `json:"watch"`
	Version string    `json:"version,omitempty"` // the provider's
	Written time.Time `json:"written"`           // when the control plane took the outcome, by its clock
	Limit   time.Time `json:"limit"`             // when nobody looks any more, exclusive
}

// ReportObservation says what an agent saw. The ticket that asked for it comes back with it: only
// what this control plane asked of a cluster, and not longer ago than a look lasts, is answered.
type ReportObservation struct {
	Request RequestID    `json:"request"`
	Job     JobID        `json:"job"`   // [ObservationOf]
	Watch   int          `json:"watch"` // its number
	Ticket  SignedTicket `json:"ticket"`
	Seen    Observation  `json:"seen"`
}

// About implements [JobMessage].
func (m ReportObservation) About() (RequestID, JobID) { return m.Request, m.Job }

// What the words in an observation may be.
var (
	syncStates   = []string{"", "Synced", "OutOfSync", "Unknown"}
	healthStates = []string{"", "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
	syncPhases   = []string{"", "Running", "Succeeded", "Failed", "Error", "Terminating"}

	workloadKinds = []string{"Deployment", "StatefulSet", "DaemonSet", "Rollout", "ReplicaSet", "CronJob", "Job", "Pod"}

	rolloutProblems = []RolloutProblem{RolloutUnreachable, RolloutUnauthorized, RolloutForbidden, RolloutNotFound, RolloutMalformed,
		RolloutTooLarge, RolloutUntrusted, RolloutNoAgent, RolloutNotMapped, RolloutDisabled}
)

// Lengths of what a cluster says, in bytes.
const (
	MaxNamespace      = 63  // RFC 1123, a label
	MaxKubernetesName = 253 // likewise, a name

	maxVersion  = 128 // a resourceVersion is opaque; etcd's are numbers of 20 digits at most
	maxRevision = 512 // of a source: a commit, a chart's version, an OCI digest
)

// maxTookMS is how long a look may take, in ms: its ticket lasts half of that.
const maxTookMS = 60_000

// ClockTolerance is how far a cluster's clock may be from the control plane's, and the times in an
// observation from its At. Beyond it nobody can say what came before what.
const ClockTolerance = 5 * time.Minute

// ErrClockApart says that an observation is of a cluster whose clock cannot be compared.
var ErrClockApart = errors.New("the clock of the cluster and the control plane's are more than 5 minutes apart")

// Check returns what is wrong with an observation that came at now from whom nobody trusts, or nil:
// every word is known, every text is a name of Kubernetes or short and printable, every list is
// within its bounds, and the times can be. The error repeats nothing of what it is about;
// it is [ErrClockApart] where only the clocks are.
func (o Observation) Check(now time.Time) error {
	switch {
	case o.TookMS < 0 || o.TookMS > maxTookMS:
		return errors.New("the look took longer than its ticket lasts, or ended before it began")
	case o.Problem != "":
		return o.checkProblem(now)
	case !slices.Contains(syncStates, o.Sync), !slices.Contains(healthStates, o.Health), !slices.Contains(syncPhases, o.OperationPhase):
		return errors.New("a state has a name that nobody knows")
	case !printable(o.Revision, maxRevision):
		return errors.New("the revision is no short text")
	case len(o.Secrets) > MaxObservedSecrets || len(o.Workloads) > MaxObservedWorkloads:
		return fmt.Errorf("there are more than %d secrets or %d workloads", MaxObservedSecrets, MaxObservedWorkloads)
	}
	for _, s := range o.Secrets {
		if err := s.check(); err != nil {
			return err
		}
	}
	pods := 0
	for _, w := range o.Workloads {
		if err := w.check(); err != nil {
			return err
		}
		if pods += len(w.Pods); pods > MaxObservedPods {
			return fmt.Errorf("there are more than %d pods", MaxObservedPods)
		}
	}
	return o.checkTimes(now)
}

func (o Observation) checkProblem(now time.Time) error {
	switch {
	case !slices.Contains(rolloutProblems, o.Problem):
		return errors.New("the problem has a name that nobody knows")
	case o.Sync != "" || o.Health != "" || o.Revision != "" || o.OperationPhase != "" || !o.OperationFinished.IsZero() || len(o.Secrets)+len(o.Workloads) > 0:
		return errors.New("it has a problem and says what was seen")
	case apart(o.At, now):
		return ErrClockApart
	}
	return nil
}

// checkTimes compares all times with the observation's own, and that with now. Nothing that was
// seen is later than the look; all else, such as the start of an old pod, may be long ago.
func (o Observation) checkTimes(now time.Time) error {
	late := func(t time.Time) bool { return t.After(o.At.Add(ClockTolerance)) }
	switch {
	case apart(o.At, now):
		return ErrClockApart
	case late(o.OperationFinished):
		return errors.New("a sync ended after the look")
	case slices.ContainsFunc(o.Secrets, func(s ObservedSecret) bool { return late(s.Refreshed) || late(s.Changed) }):
		return errors.New("a secret was refreshed or changed after the look")
	}
	for _, w := range o.Workloads {
		if slices.ContainsFunc(w.Pods, func(p ObservedPod) bool { return p.Started.IsZero() || late(p.Started) }) {
			return errors.New("a pod started after the look, or never")
		}
	}
	return nil
}

func apart(a, b time.Time) bool { return a.Sub(b).Abs() > ClockTolerance }

func (s ObservedSecret) check() error {
	if !KubernetesName(s.Namespace, MaxNamespace) || !KubernetesName(s.Name, MaxKubernetesName) || s.External != "" && !KubernetesName(s.External, MaxKubernetesName) {
		return errors.New("the name of a secret is none of Kubernetes")
	}
	if !printable(s.ResourceVersion, maxVersion) {
		return errors.New("a resource version is no short text")
	}
	return nil
}

func (w ObservedWorkload) check() error {
	if !slices.Contains(workloadKinds, w.Kind) || w.Use != UseEnvironment && w.Use != UseVolume {
		return errors.New("a workload is of no kind, or uses a secret in no way, that is known")
	}
	if !KubernetesName(w.Namespace, MaxNamespace) || !KubernetesName(w.Name, MaxKubernetesName) {
		return errors.New("the name of a workload is none of Kubernetes")
	}
	if slices.ContainsFunc(w.Pods, func(p ObservedPod) bool { return !KubernetesName(p.Name, MaxKubernetesName) }) {
		return errors.New("the name of a pod is none of Kubernetes")
	}
	return nil
}

// KubernetesName reports whether s can name an object and has no more than limit bytes: a-z, 0-9,
// "-" and ".", beginning and ending with a letter or digit (RFC 1123). It is safe in a path.
func KubernetesName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	plain := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	for _, c := range []byte(s) {
		if !plain(c) && c != '-' && c != '.' {
			return false
		}
	}
	return plain(s[0]) && plain(s[len(s)-1])
}

// printable reports whether s is short text of one line, of printable ASCII.
func printable(s string, limit int) bool {
	return len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
