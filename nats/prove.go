package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/nats/subject"
)

// proofInterval is how often the log's settings and durability are proven again.
const proofInterval = 5 * time.Second

// secondLook is after what time a log of several replicas that ends too early is looked at again.
const secondLook = time.Second

// unprovenFor is how long servers of several replicas may leave it open how they store. An election
// takes 4 to 9 s, and the restart of a node that others wait for as long again.
const unprovenFor = 30 * time.Second

// reportWindow is how long servers may take to say how they store.
const reportWindow = time.Second

// ServerSync says whether a server has everything on disk before it acknowledges,
// that is "sync_interval: always", and whether it can write at all.
type ServerSync struct {
	Server string
	Always bool
	Fault  string // of its store, in its own words; it lasts until a restart. "" if none
}

// Durability asks the servers that may hold the log how they store.
type Durability func(ctx context.Context) ([]ServerSync, error)

// Durability of the embedded server is what it was started with, and whether it has
// given up writing since.
func (h *Hub) Durability(context.Context) ([]ServerSync, error) {
	h.mu.Lock()
	srv, said := h.srv, h.said
	h.mu.Unlock()
	if !srv.Running() {
		return nil, errors.New("the server is not running")
	}
	report := ServerSync{Server: srv.Name()}
	if err := said.StoreFault(); err != nil {
		report.Fault = err.Error()
	}
	if config := srv.JetStreamConfig(); config != nil {
		report.Always = config.SyncAlways
	} else if report.Fault == "" {
		report.Fault = "jetstream is not running"
	}
	return []ServerSync{report}, nil
}

// ReportedDurability asks all servers of a cluster over a connection to its system
// account. A server that is down is not heard, and judged when it is back.
func ReportedDurability(system *natsgo.Conn) Durability {
	return func(ctx context.Context) ([]ServerSync, error) {
		inbox := natsgo.NewInbox()
		replies, err := system.SubscribeSync(inbox + ".*")
		if err != nil {
			return nil, fmt.Errorf("ask servers how they store: %w", err)
		}
		defer func() { _ = replies.Unsubscribe() }()
		health := inbox + ".health"
		for _, ask := range []struct{ what, reply, how string }{
			{"$SYS.REQ.SERVER.PING.JSZ", inbox + ".store", `{"config":true}`},
			{"$SYS.REQ.SERVER.PING.HEALTHZ", health, `{"details":true}`},
		} {
			if err := system.PublishRequest(ask.what, ask.reply, []byte(ask.how)); err != nil {
				return nil, fmt.Errorf("ask servers how they store: %w", err)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, reportWindow)
		defer cancel()
		var reports []ServerSync
		faults := map[string]string{} // by server
		for {
			msg, err := replies.NextMsgWithContext(ctx)
			if err != nil {
				break // the window has passed; whoever calls judges who answered
			}
			var report struct {
				Server struct{ Name string } `json:"server"`
				Data   *struct {
					Disabled bool `json:"disabled"`
					Config   struct {
						SyncAlways bool `json:"sync_always"`
					} `json:"config"`
					Errors []struct{ Error string } `json:"errors"`
				} `json:"data"`
			}
			if json.Unmarshal(msg.Data, &report) != nil || report.Data == nil || report.Data.Disabled {
				continue
			}
			if msg.Subject == health {
				for _, e := range report.Data.Errors { // others pass by themselves, such as a replica that is behind
					if strings.Contains(e.Error, "write error") {
						faults[report.Server.Name] = e.Error
					}
				}
				continue
			}
			reports = append(reports, ServerSync{Server: report.Server.Name, Always: report.Data.Config.SyncAlways})
		}
		for i, r := range reports {
			reports[i].Fault = faults[r.Server]
		}
		if len(reports) == 0 {
			return nil, errors.New("ask servers how they store: none answered; the connection must be to the system account")
		}
		return reports, nil
	}
}

// Streams makes the streams and buckets of account CORE and proves the log's.
type Streams struct {
	js         jetstream.JetStream
	replicas   int
	durability Durability
	log        *slog.Logger
	interval   time.Duration // between proofs
	unproven   time.Duration // that the servers of several replicas may leave open how they store
}

// NewStreams needs a connection to CORE and 1 or 3 replicas. A nil logger discards.
func NewStreams(nc *natsgo.Conn, replicas int, durability Durability, log *slog.Logger) (*Streams, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Streams{js: js, replicas: replicas, durability: durability, log: log, interval: proofInterval, unproven: unprovenFor}, nil
}

// Provision creates what is missing. Settings of EVENTS that differ are left alone,
// for [Streams.Prove] to refuse; of all others the difference is logged, then changed.
func (s *Streams) Provision(ctx context.Context) error {
	events := eventsConfig(s.replicas)
	if _, err := s.js.Stream(ctx, events.Name); errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err := s.js.CreateStream(ctx, events); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", events.Name, err)
		}
	} else if err != nil {
		return fmt.Errorf("look for stream %s: %w", events.Name, err)
	}
	for _, config := range []jetstream.StreamConfig{jobsConfig(s.replicas), deadLettersConfig(s.replicas), windowsConfig(s.replicas)} {
		if err := s.provisionStream(ctx, config); err != nil {
			return err
		}
	}
	for _, config := range bucketConfigs(s.replicas) {
		if _, err := s.js.CreateOrUpdateKeyValue(ctx, config); err != nil {
			return fmt.Errorf("create bucket %s: %w", config.Bucket, err)
		}
	}
	return nil
}

func (s *Streams) provisionStream(ctx context.Context, config jetstream.StreamConfig) error {
	stream, err := s.js.Stream(ctx, config.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return fmt.Errorf("look for stream %s: %w", config.Name, err)
	default:
		differ := differences(stream.CachedInfo().Config, config)
		if len(differ) == 0 {
			return nil
		}
		s.log.Warn("stream settings differ and are changed", "stream", config.Name, "differences", joined(differ))
	}
	if _, err := s.js.CreateOrUpdateStream(ctx, config); err != nil {
		return fmt.Errorf("create stream %s: %w", config.Name, err)
	}
	return nil
}

// errUnproven says that servers did not say how they store. It comes with [command.ErrLogUnsafe]:
// nobody begins to write then. Of several replicas one may restart, and another one lead in a
// moment, so a server that writes goes on for [unprovenFor].
var errUnproven = errors.New("durability is not proven")

// Prove returns nil if EVENTS has exactly the settings that make it a log and all
// servers that answer store before they acknowledge. Otherwise the error wraps
// [command.ErrLogUnsafe] and names each field, what it is and what it must be; an
// error that does not wrap it means that the proof could not be made now. A store that
// has failed is unsafe, too: nothing but a restart lets the server write again.
func (s *Streams) Prove(ctx context.Context) error {
	_, err := s.prove(ctx)
	return err
}

// prove returns with the proof what the server says of the stream.
func (s *Streams) prove(ctx context.Context) (*jetstream.StreamInfo, error) {
	reports, reportErr := s.durability(ctx)
	for _, r := range reports { // before anything else, which may not be answered then
		if r.Fault != "" && s.replicas == 1 {
			return nil, storeFailed(r)
		}
	}
	stream, err := s.stream(ctx)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if differ := differences(info.Config, eventsConfig(s.replicas)); len(differ) > 0 {
		return nil, fmt.Errorf("%w: stream %s: %s", command.LogReconfigured, subject.EventsStream, joined(differ))
	}
	if state := info.State; state.NumDeleted > 0 || state.Msgs != state.LastSeq || (state.LastSeq > 0 && state.FirstSeq != 1) {
		return info, fmt.Errorf("%w: stream %s: it has %d messages and ends at %d, the first is %d, %d are deleted",
			command.LogDamaged, subject.EventsStream, state.Msgs, state.LastSeq, state.FirstSeq, state.NumDeleted)
	}
	if reportErr != nil {
		return info, fmt.Errorf("%w: %w: %w", command.ErrLogUnsafe, errUnproven, reportErr)
	}
	return info, s.proveDurability(reports, info)
}

func storeFailed(r ServerSync) error {
	return fmt.Errorf("%w: server %s: the server's store has failed: free disk space and restart it (%s)", command.LogStoreFailed, r.Server, r.Fault)
}

func (s *Streams) proveDurability(reports []ServerSync, info *jetstream.StreamInfo) error {
	heardLeader := info.Cluster == nil || info.Cluster.Leader == ""
	for _, r := range reports {
		if !r.Always {
			return fmt.Errorf("%w: server %s: sync_interval is not always; set it under jetstream and restart the server", command.LogReconfigured, r.Server)
		}
		leads := info.Cluster != nil && r.Server == info.Cluster.Leader
		switch {
		case r.Fault == "":
		case leads:
			return storeFailed(r)
		default: // the others go on without it
			s.log.Error("the store of a server has failed: free disk space there and restart it", "server", r.Server, "err", r.Fault)
		}
		heardLeader = heardLeader || leads
	}
	if !heardLeader {
		return fmt.Errorf("%w: %w: server %s leads the log and did not answer", command.ErrLogUnsafe, errUnproven, info.Cluster.Leader)
	}
	return nil
}

// Watch proves the log again and again until ctx ends: its settings, its durability, and that it
// is the one that the store has read and written. It returns as soon as it is unsafe, or the
// store is halted for whatever reason, with an error that wraps [command.ErrLogUnsafe]; the store
// is halted then. A proof that cannot be made, because the servers are away, is logged: nothing
// can be written then either.
func (s *Streams) Watch(ctx context.Context, store *Store) error {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	proven := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-store.halting():
			return store.Halted()
		case <-tick.C:
		}
		err := s.proveAll(ctx, store)
		if errors.Is(err, command.LogTruncated) && s.replicas > 1 {
			// A replica that was just elected may not have applied all that it has.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(secondLook):
			}
			err = s.proveAll(ctx, store)
		}
		switch {
		case err == nil:
			proven = time.Now()
		case errors.Is(err, errUnproven) && s.replicas > 1 && time.Since(proven) < s.unproven:
			s.log.Warn("the servers do not say how they store, and are asked again", "err", err)
		case errors.Is(err, command.ErrLogUnsafe):
			store.Halt(err)
			return store.Halted()
		case ctx.Err() == nil:
			s.log.Warn("the log could not be proven", "err", err)
		}
	}
}

func (s *Streams) proveAll(ctx context.Context, store *Store) error {
	seq, raw := store.seen.newest() // before the server is asked
	info, err := s.prove(ctx)
	if err != nil {
		return err
	}
	return store.proveSeen(ctx, info, seq, raw)
}

func joined(differ []difference) string {
	var all []string
	for _, d := range differ {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
