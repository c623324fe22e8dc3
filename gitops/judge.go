package gitops

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"secretsbridge/events"
)

const (
	// refreshTime is how long a refresh of an ExternalSecret may take. Operators of today tell
	// when it began, those of before told when it ended: one that is told to be this much later
	// than the write began after it.
	refreshTime = 10 * time.Second

	// storeTime is when the Secret is written after the beginning of a refresh, at the latest.
	storeTime = 5 * time.Second

	// reorder is how much older than the last a look may be that came late. One that is older
	// by more is of a clock that was set back.
	reorder = time.Minute

	// volumeTime is when running pods have a Secret that they mount: the kubelet brings it with
	// its next sync of the pod, each 60 to 90 s, from what it watches.
	volumeTime = 2 * time.Minute

	// degradedLooks in a row are a failure: health may dip while pods are replaced.
	degradedLooks = 3
)

// Judge says what one more look tells of a watch, and what became of it: watching, applied or
// failed. It asks nobody and knows no time but that of the look. It never goes back for a look
// that saw nothing, and leaves out one that is older than the last.
//
// The new version is in a Secret
//   - when its ExternalSecret is ready and was refreshed so long after the write that the refresh
//     began after it; a refresh right after the write counts if the Secret changed, too;
//   - without an ExternalSecret, when its resourceVersion is another than at a look before the
//     write or at an earlier look after it, or its data was changed after the write. Whoever
//     changed it: nobody can tell from outside.
//
// Times of the cluster are compared with the latest that the write can have been by its clock. A
// time that lies after the look that saw it is no time.
//
// A pod has the new version if it was made after all Secrets of the look had it, or mounts them
// and had the time to be brought it. The change is applied when that is true of every pod of
// what uses the secret, of at least one workload (which may have no pods now), and the
// application was Synced and Healthy, with no sync under way, at a look that began after.
func Judge(before State, s Seen) (State, events.WatchState) {
	switch {
	case s.Problem == "" && (s.At.IsZero() || s.Answered.Before(s.Asked)):
		s.Observation = events.Observation{Problem: events.RolloutMalformed}
	case s.Problem == "" && before.outOfOrder(s):
		return before, events.WatchOpen
	}
	next := before
	if s.Problem != "" {
		next.Progress.Problem = s.Problem
		return next, events.WatchOpen
	}
	next.Clock, next.Last = before.Clock.with(s), s.At
	if !next.Clock.Known {
		return before, events.WatchOpen
	}
	next.Secrets, next.Resumed = next.secrets(s), false
	next.Progress = events.RolloutProgress{Sync: s.Sync, Health: s.Health, Revision: s.Revision}
	if !next.readable(s) {
		next.Progress.Health = ""
	}
	next.reach(s)
	next.count(s)
	return next.verdict(s)
}

// outOfOrder reports whether a look is no newer than the last that counted: it came late, or twice.
func (s State) outOfOrder(seen Seen) bool {
	return !seen.At.After(s.Last) && s.Last.Sub(seen.At) < reorder
}

// readable reports whether health says anything.
func (s State) readable(seen Seen) bool {
	return seen.Sync == "Synced" || seen.Sync == "OutOfSync" || s.Kind == events.IntegrationKubernetes && seen.Sync == ""
}

// secrets is what is known of each Secret after a look. One that is not there any more is
// remembered, since it may come back.
func (s State) secrets(seen Seen) map[string]SecretState {
	known := maps.Clone(s.Secrets)
	if known == nil {
		known = map[string]SecretState{}
	}
	for _, o := range seen.Secrets {
		name := nameOf(o)
		had := known[name]
		if s.Resumed && had.Reached.IsZero() && !s.Progress.Reached.IsZero() {
			had.Reached, had.Proof = s.Progress.Reached, s.Progress.Proof // as was said of all
		}
		next := s.secret(had, o, seen)
		next.Version = cmp.Or(next.Version, o.ResourceVersion)
		if _, had := known[name]; had || len(known) < 2*events.MaxObservedSecrets {
			known[name] = next
		}
	}
	return known
}

// secret looks for a proof, and for an earlier time of one that was found.
func (s State) secret(had SecretState, o events.ObservedSecret, seen Seen) SecretState {
	written, end := s.Clock.latest(s.Written), seen.end()
	later := func(t, than time.Time) bool { return !t.IsZero() && !t.Before(than) && !t.After(end) }
	differs := had.Version != "" && o.ResourceVersion != "" && had.Version != o.ResourceVersion
	changed := later(o.Changed, written)

	var proof events.RolloutProof
	at := end
	switch {
	case o.External == "":
		if !differs && !changed {
			return had
		}
		proof = events.ProofSecretChanged
	case !o.Ready:
		return had
	case later(o.Refreshed, written.Add(refreshTime)):
		proof = events.ProofRefreshed
		at = earlier(at, o.Refreshed.Add(storeTime+resolution))
	case later(o.Refreshed, written) && (differs || changed):
		proof = events.ProofSecretChanged
	default:
		return had
	}
	if changed {
		at = earlier(at, o.Changed.Add(resolution))
	}
	if had.Reached.IsZero() || at.Before(had.Reached) {
		had.Reached = at
	}
	had.Proof = cmp.Or(had.Proof, proof)
	return had
}

// reach says since when the new version is in all Secrets of a look, if it is.
func (s *State) reach(seen Seen) {
	var last SecretState
	for _, o := range seen.Secrets {
		known := s.Secrets[nameOf(o)]
		if known.Reached.IsZero() {
			return
		}
		if known.Reached.After(last.Reached) {
			last = known
		}
	}
	s.Progress.Reached, s.Progress.Proof = last.Reached, last.Proof
}

// count counts pods. A pod of two workloads is one, and has the new version if it has it in both.
func (s *State) count(seen Seen) {
	pods := map[string]bool{}
	for _, w := range seen.Workloads {
		for _, p := range w.Pods {
			name := w.Namespace + "/" + p.Name
			live, twice := pods[name]
			pods[name] = s.has(w.Use, p, seen) && (live || !twice)
		}
	}
	s.Progress.Total = len(pods)
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		switch {
		case pods[name]:
			s.Progress.Live++
		case len(s.Progress.Laggards) < events.MaxLaggards:
			s.Progress.Laggards = append(s.Progress.Laggards, name)
		}
	}
	if len(seen.Secrets) == 0 || len(seen.Workloads) == 0 {
		s.Progress.Problem = events.RolloutNotMapped
	}
}

// has reports whether a pod has the new version.
func (s *State) has(use events.WorkloadUse, p events.ObservedPod, seen Seen) bool {
	reached := s.Progress.Reached
	switch {
	case reached.IsZero(), p.Started.IsZero(), p.Started.After(seen.end()):
		return false
	case use == events.UseVolume && !seen.At.Before(reached.Add(volumeTime)):
		return true
	}
	return !p.Started.Before(reached)
}

// verdict ends a look.
func (s State) verdict(seen Seen) (State, events.WatchState) {
	p := s.Progress
	after := !p.Reached.IsZero() && !seen.At.Before(p.Reached)
	if after && p.Health == "Degraded" {
		s.Degraded++
	} else {
		s.Degraded = 0
	}
	broken := seen.OperationPhase == "Failed" || seen.OperationPhase == "Error"
	if ended := seen.OperationFinished; broken && !ended.Before(s.Clock.latest(s.Written)) && !ended.After(seen.end()) {
		return s, events.WatchFailed
	}
	busy := seen.OperationPhase == "Running" || seen.OperationPhase == "Terminating"
	synced := p.Sync == "Synced" || s.Kind == events.IntegrationKubernetes && p.Sync == ""
	switch {
	case s.Degraded >= degradedLooks:
		return s, events.WatchFailed
	case after && synced && !busy && p.Health == "Healthy" && p.Problem == "" && p.Live == p.Total:
		return s, events.WatchApplied
	}
	return s, events.WatchOpen
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
