package agent

import (
	"time"

	"secretsbridge/events"
)

// Status is what an operator on the agent's host may know. It holds no secret.
type Status struct {
	Agent              events.AgentID     `json:"agent"`
	Cluster            events.ClusterID   `json:"cluster"`
	Version            string             `json:"version"`
	Started            time.Time          `json:"started"`
	Slots              int                `json:"slots"`
	Running            []events.JobID     `json:"running"`
	Heartbeat          time.Time          `json:"heartbeat,omitzero"` // the last that was answered
	ClockSkewSeconds   int                `json:"clock_skew_seconds"` // the control plane's clock less ours
	CredentialsExpires time.Time          `json:"credentials_expires"`
	KeySuite           string             `json:"key_suite"` // of the key that values' data keys are sealed to
	KeySince           time.Time          `json:"key_since"`
	EarlierKeys        int                `json:"earlier_keys"`              // that are still needed
	SigningSerial      int                `json:"signing_serial"`            // of the control plane's newest key that is trusted
	FingerprintKey     string             `json:"fingerprint_key,omitempty"` // names the key; fingerprints compare under one key alone
	Connections        []ConnectionStatus `json:"connections"`
	Log                *LogStatus         `json:"log,omitempty"` // nil: the agent does not look at it
}

// Status returns how the agent stands now.
func (a *Agent) Status() Status {
	key, since := a.Keys.Current()
	print := ""
	if !a.FingerprintKey.IsZero() {
		print = a.FingerprintKey.ID()
	}
	var log *LogStatus
	if a.Witness != nil {
		is := a.Witness.Status()
		log = &is
	}
	a.pulse.mu.Lock()
	defer a.pulse.mu.Unlock()
	return Status{
		Log:            log,
		FingerprintKey: print,
		KeySuite:       key.Public().Suite().String(), KeySince: since.UTC(), EarlierKeys: len(a.Keys.Earlier()),
		SigningSerial: a.Trust.TrustedKeys().Newest().Serial,
		Agent:         a.Agent, Cluster: a.Cluster, Version: a.Version, Started: a.started.UTC(), Slots: a.Slots,
		Running: a.jobs.list(), Heartbeat: a.pulse.answered.UTC(), ClockSkewSeconds: int(a.pulse.skew / time.Second),
		CredentialsExpires: a.pulse.credential.Expires.UTC(), Connections: a.Connections.Status(),
	}
}
