package nats

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/nats/subject"
)

// ServerSeen is a NATS server, as it tells of itself.
type ServerSeen struct {
	Name, Version string

	// Clock is what its clock said between two moments of ours.
	Clock         time.Time
	Before, After time.Time

	JetStream bool
	Used      uint64 // bytes of streams on disk
	May       uint64 // bytes that streams may take on its disk
	Peers     int    // servers of its cluster that share streams, itself among them; 0: it is alone
	Leader    string // of the cluster, by its name; "" while none is elected
}

// ExamineServers asks all servers about themselves, over a connection to their own account, and
// waits for a second for their answers.
func ExamineServers(ctx context.Context, system *natsgo.Conn) ([]ServerSeen, error) {
	inbox := natsgo.NewInbox()
	replies, err := system.SubscribeSync(inbox + ".*")
	if err != nil {
		return nil, fmt.Errorf("ask servers about themselves: %w", err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	before := time.Now()
	if err := system.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox+".jsz", []byte(`{"config":true}`)); err != nil {
		return nil, fmt.Errorf("ask servers about themselves: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reportWindow)
	defer cancel()
	var all []ServerSeen
	for {
		msg, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			break // the window has passed; whoever calls judges who answered
		}
		var told struct {
			Server struct {
				Name    string    `json:"name"`
				Version string    `json:"ver"`
				Time    time.Time `json:"time"`
			} `json:"server"`
			Data *struct {
				Disabled bool   `json:"disabled"`
				Storage  uint64 `json:"storage"`
				Config   struct {
					MaxStorage uint64 `json:"max_storage"`
				} `json:"config"`
				Meta *struct {
					Leader string `json:"leader"`
					Size   int    `json:"cluster_size"`
				} `json:"meta_cluster"`
			} `json:"data"`
		}
		if json.Unmarshal(msg.Data, &told) != nil || told.Server.Name == "" || told.Data == nil {
			continue
		}
		seen := ServerSeen{
			Name: told.Server.Name, Version: told.Server.Version, Clock: told.Server.Time, Before: before, After: time.Now(),
			JetStream: !told.Data.Disabled, Used: told.Data.Storage, May: told.Data.Config.MaxStorage,
		}
		if m := told.Data.Meta; m != nil {
			seen.Peers, seen.Leader = m.Size, m.Leader
		}
		all = append(all, seen)
	}
	if len(all) == 0 {
		return nil, errors.New("ask servers about themselves: none answered; the connection must be to the system account")
	}
	slices.SortFunc(all, func(a, b ServerSeen) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// NodeSeen is what came of a connection to one address.
type NodeSeen struct {
	URL         string
	Server      string            // its name
	Certificate *x509.Certificate // that it showed; nil unless it was reached
	Err         error             // nil: it was reached
}

// ExamineNodes connects to each address by itself, as the running system does, and returns a
// connection to the servers' own account and one to account CORE at the first that answers, for the
// caller to close. Both are nil where none does.
func ExamineNodes(config ClusterConfig) (nodes []NodeSeen, system, core *natsgo.Conn) {
	for _, url := range config.URLs {
		one := config
		one.URLs = []string{url}
		seen := NodeSeen{URL: url}
		nc, err := newCluster(one).ConnectSystem("sb-server doctor")
		switch {
		case err != nil:
			seen.Err = err
		default:
			seen.Server = nc.ConnectedServerName()
			if state, err := nc.TLSConnectionState(); err == nil && len(state.PeerCertificates) > 0 {
				seen.Certificate = state.PeerCertificates[0]
			}
			if system == nil {
				if core, err = newCluster(one).Connect("sb-server doctor"); err == nil {
					system = nc
				} else {
					seen.Err = err
				}
			}
			if system != nc {
				nc.Close()
			}
		}
		nodes = append(nodes, seen)
	}
	return nodes, system, core
}

// StreamSeen is a stream or a bucket, and what is wrong with it.
type StreamSeen struct {
	Name     string
	Missing  bool
	Differs  string // settings that are not what they must be; "" if all are
	Last     uint64 // sequence of its newest message
	Replicas int    // that it has
	Leader   string // "" while none is elected, or for a server that is alone
	Away     []string
	Behind   []string // replicas that do not have all of it
}

// Examine looks at all streams and buckets, and changes nothing. It does not judge whether EVENTS is
// a log: [Streams.Prove] does.
func (s *Streams) Examine(ctx context.Context) ([]StreamSeen, error) {
	var all []StreamSeen
	for _, want := range []jetstream.StreamConfig{eventsConfig(s.replicas), jobsConfig(s.replicas), deadLettersConfig(s.replicas), windowsConfig(s.replicas)} {
		seen, have, err := s.examine(ctx, want.Name)
		if err != nil {
			return nil, err
		}
		if !seen.Missing {
			seen.Differs = joined(differences(have, want))
		}
		all = append(all, seen)
	}
	for _, want := range bucketConfigs(s.replicas) {
		seen, have, err := s.examine(ctx, subject.BucketStream(want.Bucket))
		if err != nil {
			return nil, err
		}
		// Of a bucket, what decides whether it keeps what it has: the rest follows from these.
		var differ []difference
		for _, d := range []difference{
			{"num_replicas", have.Replicas, want.Replicas}, {"storage", have.Storage, want.Storage}, {"max_age", have.MaxAge, want.TTL},
			{"max_msgs_per_subject", have.MaxMsgsPerSubject, int64(want.History)},
		} {
			if d.have != d.want {
				differ = append(differ, d)
			}
		}
		if !seen.Missing {
			seen.Differs = joined(differ)
		}
		all = append(all, seen)
	}
	return all, nil
}

func (s *Streams) examine(ctx context.Context, name string) (StreamSeen, jetstream.StreamConfig, error) {
	seen := StreamSeen{Name: name}
	stream, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		seen.Missing = true
		return seen, jetstream.StreamConfig{}, nil
	}
	if err != nil {
		return seen, jetstream.StreamConfig{}, fmt.Errorf("look for stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	seen.Last, seen.Replicas = info.State.LastSeq, 1
	if c := info.Cluster; c != nil {
		seen.Leader, seen.Replicas = c.Leader, 1+len(c.Replicas)
		for _, r := range c.Replicas {
			switch {
			case r.Offline:
				seen.Away = append(seen.Away, r.Name)
			case !r.Current:
				seen.Behind = append(seen.Behind, r.Name)
			}
		}
	}
	return seen, info.Config, nil
}

// Room is what an account has taken of JetStream, and may take. A bound below 0 is none.
type Room struct {
	Streams, MaxStreams     int
	Consumers, MaxConsumers int
	Store, MaxStore         int64 // bytes on disk
	Memory, MaxMemory       int64 // bytes
}

// Room asks what account CORE has taken and may take.
func (s *Streams) Room(ctx context.Context) (Room, error) {
	info, err := s.js.AccountInfo(ctx)
	if err != nil {
		return Room{}, fmt.Errorf("ask what the account may take: %w", err)
	}
	return Room{
		Streams: info.Streams, MaxStreams: info.Limits.MaxStreams, Consumers: info.Consumers, MaxConsumers: info.Limits.MaxConsumers,
		Store: int64(info.Store), MaxStore: info.Limits.MaxStore, Memory: int64(info.Memory), MaxMemory: info.Limits.MaxMemory,
	}, nil
}
