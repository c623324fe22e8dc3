// Package inventory takes what agents list of their providers, compares it with what is
// known, and records what is new, changed or gone. It opens the jobs that no request stands
// behind, and brings them to their end.
//
// A page costs one look into memory for its secrets, one commit if something is new, and
// one transaction that moves the checkpoint on. All of them are the same if they happen
// twice, in that order, on any server: a crash in between only repeats the page.
package inventory

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// ErrNoScan says that there is no checkpoint of a job: it was not taken, or is over.
var ErrNoScan = errors.New("there is no such scan under way")

// Name is a secret's id and the ref that it follows from.
type Name struct {
	ID  events.SecretID
	Ref string
}

// Views answers from the inventory as it is known. Package projections has it.
type Views interface {
	WaitFor(ctx context.Context, seq events.Seq) error

	// PresentAfter are secrets of a connection that are there now, in the byte order of
	// their ids, after one.
	PresentAfter(ctx context.Context, connection events.ConnectionID, after events.SecretID, limit int) ([]Name, error)

	// LastNumber is the number of the newest job of that kind, 0 if there is none.
	LastNumber(ctx context.Context, connection events.ConnectionID, op events.Operation) (int, error)

	// OpenJobs are the jobs that are queued or running, oldest first.
	OpenJobs(ctx context.Context) ([]events.JobID, error)

	// Schedules are the connections that are scanned by themselves.
	Schedules(ctx context.Context) ([]Schedule, error)
}

// Told is what the log says of secrets, in memory. Package circumstances has it.
type Told interface {
	WaitFor(ctx context.Context, seq events.Seq) error

	// Known is a [command.Known].
	Known(connection events.ConnectionID, listed events.SecretMetadata) (there, same bool)
}

// Schedule is how often a connection is scanned, and when the last scan was over.
type Schedule struct {
	Connection events.ConnectionID
	Every      time.Duration
	Last       time.Time // zero: there was none
	Number     int       // of the last one
}

// Checkpoint is how far a job came.
type Checkpoint struct {
	Job     events.JobID
	Attempt int
	Pages   int        // kept so far
	Cursor  string     // where the list goes on
	Digest  []byte     // SHA-256 of the last page's content; empty before the first
	Seq     events.Seq // what must be known of the log before a page is compared: all that was there when the attempt began
	Tally   events.ScanTally
	Changed time.Time
}

// Print is the fingerprint of one value of a secret.
type Print struct {
	Secret  events.SecretID
	Ref     string
	Version string // of the secret, when the value was read; empty: the provider told none
	KeyID   string
	Print   string
}

// Scans keeps checkpoints and what scans have met. Package store has it.
type Scans interface {
	// Begin makes the checkpoint of a job, or gives an existing one to a later attempt.
	// One of a later attempt stays as it is: the caller looks at Attempt.
	Begin(ctx context.Context, job events.JobID, attempt int, seq events.Seq, now time.Time) (Checkpoint, error)

	// Get returns a checkpoint, or ErrNoScan.
	Get(ctx context.Context, job events.JobID) (Checkpoint, error)

	// Advance replaces a checkpoint that is still at from's attempt and page, with what the
	// page met, all or nothing. It counts the secrets that the job had not met before into
	// the tally; of the others the new fingerprints take the place of those before. moved is
	// false if the checkpoint was elsewhere.
	Advance(ctx context.Context, from, to Checkpoint, met []events.SecretID, connection events.ConnectionID, prints []Print) (moved bool, err error)

	// Jobs are those that have a checkpoint: about as many as are under way.
	Jobs(ctx context.Context) ([]events.JobID, error)

	// MetAfter are secrets that a job has met, in the byte order of their ids, after one.
	MetAfter(ctx context.Context, job events.JobID, after events.SecretID, limit int) ([]events.SecretID, error)

	// End forgets the checkpoint. The job's fingerprints take the place of all others of the
	// connection that it replaces, if it names one; else they are forgotten.
	End(ctx context.Context, job events.JobID, replaces events.ConnectionID) error

	// KeepNames holds the names of a secret's keys until a time, and Names returns them, or
	// ErrNoScan.
	KeepNames(ctx context.Context, job events.JobID, names []string, until time.Time) error
	Names(ctx context.Context, job events.JobID, now time.Time) ([]string, error)

	// Sweep forgets names that are past their end.
	Sweep(ctx context.Context, now time.Time) error
}

// Config is what an inventory works with. Every field is needed.
type Config struct {
	Log  command.Log
	Feed interface {
		Last(context.Context) (events.Seq, error)
	}
	Views  Views
	Told   Told
	Scans  Scans
	Logger *slog.Logger
	Now    func() time.Time
}

// Inventory is safe for concurrent use.
type Inventory struct{ Config }

// New makes an inventory.
func New(cfg Config) *Inventory { return &Inventory{cfg} }

// Agent is who calls: from the authenticated connection and its own history.
type Agent struct {
	ID      events.AgentID
	Cluster events.ClusterID
}

// namesFor is how long the names of a secret's keys wait for whoever asked.
const namesFor = 10 * time.Minute

// Sweep forgets names that nobody came for, and does what follows the end of a job where
// that was not done: the server died right after the fact, or its database was away.
func (i *Inventory) Sweep(ctx context.Context) error {
	if err := i.Scans.Sweep(ctx, i.Now()); err != nil {
		return err
	}
	jobs, err := i.Scans.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, id := range jobs {
		if err := i.Ended(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (i *Inventory) load(ctx context.Context, id events.JobID) (command.Job, error) {
	job, _, err := command.Load[command.Job](ctx, i.Log, events.JobStream(id))
	return job, err
}

// holds loads a job and refuses whoever is not at work on it.
func (i *Inventory) holds(ctx context.Context, by Agent, id events.JobID, attempt int, ops ...events.Operation) (command.Job, error) {
	job, err := i.load(ctx, id)
	if err != nil {
		return job, err
	}
	if err := job.Holds(i.Now(), attemptOf(by, id, attempt), by.Cluster); err != nil {
		return job, err
	}
	for _, op := range ops {
		if job.Queued.Operation == op {
			return job, nil
		}
	}
	return job, command.ErrJobUnknown
}

func attemptOf(by Agent, id events.JobID, attempt int) command.Attempt {
	return command.Attempt{Job: id, Agent: by.ID, Number: attempt}
}
