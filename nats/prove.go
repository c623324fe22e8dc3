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
const proofInterval = 30 * time.Second

// reportWindow is how long servers may take to say how they store.
const reportWindow = time.Second

// ServerSync says whether a server has everything on disk before it acknowledges,
// that is "sync_interval: always".
type ServerSync struct {
	Server string
	Always bool
}

// Durability asks the servers that may hold the log how they store.
type Durability func(ctx context.Context) ([]ServerSync, error)

// Durability of the embedded server is what it was started with.
func (h *Hub) Durability(context.Context) ([]ServerSync, error) {
	srv := h.server()
	config := srv.JetStreamConfig()
	if config == nil {
		return nil, errors.New("jetstream is not running")
	}
	return []ServerSync{{Server: srv.Name(), Always: config.SyncAlways}}, nil
}

// ReportedDurability asks all servers of a cluster over a connection to its system
// account. A server that is down is not heard, and judged when it is back.
func ReportedDurability(system *natsgo.Conn) Durability {
	return func(ctx context.Context) ([]ServerSync, error) {
		inbox := natsgo.NewInbox()
		replies, err := system.SubscribeSync(inbox)
		if err != nil {
			return nil, fmt.Errorf("ask servers how they store: %w", err)
		}
		defer func() { _ = replies.Unsubscribe() }()
		if err := system.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, []byte(`{"config":true}`)); err != nil {
			return nil, fmt.Errorf("ask servers how they store: %w", err)
		}
		ctx, cancel := context.WithTimeout(ctx, reportWindow)
		defer cancel()
		var reports []ServerSync
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
				} `json:"data"`
			}
			if json.Unmarshal(msg.Data, &report) != nil || report.Data == nil || report.Data.Disabled {
				continue
			}
			reports = append(reports, ServerSync{Server: report.Server.Name, Always: report.Data.Config.SyncAlways})
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
	return &Streams{js: js, replicas: replicas, durability: durability, log: log, interval: proofInterval}, nil
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
	for _, config := range []jetstream.StreamConfig{jobsConfig(s.replicas), deadLettersConfig(s.replicas)} {
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

// Prove returns nil if EVENTS has exactly the settings that make it a log and all
// servers that answer store before they acknowledge. Otherwise the error wraps
// [command.ErrLogUnsafe] and names each field, what it is and what it must be; an
// error that does not wrap it means that the proof could not be made now.
func (s *Streams) Prove(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, subject.EventsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: stream %s does not exist", command.ErrLogUnsafe, subject.EventsStream)
	}
	if err != nil {
		return fmt.Errorf("prove stream %s: %w", subject.EventsStream, err)
	}
	info := stream.CachedInfo()
	if differ := differences(info.Config, eventsConfig(s.replicas)); len(differ) > 0 {
		return fmt.Errorf("%w: stream %s: %s", command.ErrLogUnsafe, subject.EventsStream, joined(differ))
	}
	if info.State.NumDeleted > 0 || (info.State.Msgs > 0 && info.State.FirstSeq != 1) {
		return fmt.Errorf("%w: stream %s: %d messages are missing, the first is %d", command.ErrLogUnsafe, subject.EventsStream, info.State.NumDeleted, info.State.FirstSeq)
	}
	return s.proveDurability(ctx, info)
}

func (s *Streams) proveDurability(ctx context.Context, info *jetstream.StreamInfo) error {
	reports, err := s.durability(ctx)
	if err != nil {
		return fmt.Errorf("%w: durability is not proven: %w", command.ErrLogUnsafe, err)
	}
	heardLeader := info.Cluster == nil || info.Cluster.Leader == ""
	for _, r := range reports {
		if !r.Always {
			return fmt.Errorf("%w: server %s: sync_interval is not always; set it under jetstream and restart the server", command.ErrLogUnsafe, r.Server)
		}
		heardLeader = heardLeader || r.Server == info.Cluster.Leader
	}
	if !heardLeader {
		return fmt.Errorf("%w: durability is not proven: server %s leads the log and did not answer", command.ErrLogUnsafe, info.Cluster.Leader)
	}
	return nil
}

// Watch proves the log again and again until ctx ends, and returns as soon as it is
// unsafe, with an error that wraps [command.ErrLogUnsafe]. A proof that cannot be
// made, because the servers are away, is logged: nothing can be written then either.
func (s *Streams) Watch(ctx context.Context) error {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		switch err := s.Prove(ctx); {
		case errors.Is(err, command.ErrLogUnsafe):
			return err
		case err != nil && ctx.Err() == nil:
			s.log.Warn("the log could not be proven", "err", err)
		}
	}
}

func joined(differ []difference) string {
	var all []string
	for _, d := range differ {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
