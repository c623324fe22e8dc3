package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/command"
	"secretsbridge/doctor"
	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/nats/subject"
)

// leastNATS is the oldest NATS that is supported, major and minor (docs/how-to/production-nats.md).
var leastNATS = [2]int{2, 15}

// natsDoc is the page about the operator's NATS.
var natsDoc = see("how-to/production-nats.md")

// roomLeft is how much of what JetStream may take should be free.
const roomLeft = 0.1

// natsLook looks at NATS over connections that somebody else opened: the doctor at the operator's,
// and a server at the one that is embedded in it.
type natsLook struct {
	system, core *natsgo.Conn
	replicas     int
	durability   nats.Durability
}

// natsChecks are its checks, in their order.
var natsChecks = []string{"nats.servers", "nats.durability", "nats.log", "nats.streams", "nats.account"}

func (n natsLook) check(name string) func(context.Context) doctor.Seen {
	return map[string]func(context.Context) doctor.Seen{
		"nats.servers": n.servers, "nats.durability": n.stores, "nats.log": n.log, "nats.streams": n.streams, "nats.account": n.account,
	}[name]
}

// servers says whether all servers are there, of which version, and whether they have a leader.
func (n natsLook) servers(ctx context.Context) doctor.Seen {
	all, err := nats.ExamineServers(ctx, n.system)
	if err != nil {
		return doctor.Fail("look at the log of a NATS server: "+natsDoc, "%v", err)
	}
	var told, old, full []string
	versions := map[string]bool{}
	peers, leader, storing := 0, "", 0
	for _, s := range all {
		told = append(told, s.Name+" "+s.Version)
		versions[s.Version] = true
		if below(s.Version, leastNATS) {
			old = append(old, s.Name)
		}
		if s.JetStream {
			storing++
		}
		if s.May > 0 && float64(s.Used) > (1-roomLeft)*float64(s.May) {
			full = append(full, fmt.Sprintf("%s, %.1f of %.1f GB", s.Name, float64(s.Used)/1e9, float64(s.May)/1e9))
		}
		peers, leader = max(peers, s.Peers), leader+s.Leader
	}
	text := strings.Join(told, ", ")
	switch {
	case len(old) > 0:
		return doctor.Fail(fmt.Sprintf("bring them to %d.%d or newer, one after the other: %s", leastNATS[0], leastNATS[1], natsDoc), "%s: older than is supported: %s", text, doctor.Some(old))
	case storing == 0:
		return doctor.Fail("enable JetStream, as sb-server nats init wrote it: "+natsDoc, "%s: none of them stores streams", text)
	case peers > 0 && leader == "":
		return doctor.Fail("start the servers that are away; a majority of them elects a leader", "%s: they have no leader, so nothing can be written", text)
	case peers > storing:
		return doctor.Warn("start the ones that are away", "%s: %d of %d servers of the cluster answer; the log survives the loss of %d", text, storing, peers, max(0, storing-peers/2-1))
	case len(full) > 0:
		return doctor.Warn("free or add disk, or raise max_file_store: a log that is full stops the servers", "%s: nearly full: %s", text, doctor.Some(full))
	case len(versions) > 1:
		return doctor.Warn("finish the upgrade: "+natsDoc, "%s: they are of different versions", text)
	}
	return doctor.Fine("%s", text)
}

// below compares the first two parts of a version.
func below(version string, least [2]int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	for i, want := range least {
		if i >= len(parts) {
			return true
		}
		if have, err := strconv.Atoi(parts[i]); err != nil || have != want {
			return err != nil || have < want
		}
	}
	return false
}

// stores says whether each server has on disk what it acknowledges.
func (n natsLook) stores(ctx context.Context) doctor.Seen {
	reports, err := n.durability(ctx)
	if err != nil {
		return doctor.Unsure("see nats.servers", "%v", err)
	}
	var late, broken []string
	for _, r := range reports {
		if !r.Always {
			late = append(late, r.Server)
		}
		if r.Fault != "" {
			broken = append(broken, r.Server+" ("+r.Fault+")")
		}
	}
	switch {
	case len(broken) > 0:
		return doctor.Fail("free disk space there and restart that NATS server", "the store has failed of %s", doctor.Some(broken))
	case len(late) > 0:
		return doctor.Fail("set sync_interval: always under jetstream there, and restart that NATS server: "+natsDoc, "sync_interval is not always on %s: what was acknowledged can be lost, so nothing is written", doctor.Some(late))
	}
	return doctor.Fine("%d servers have everything on disk before they acknowledge it", len(reports))
}

func (n natsLook) open() (*nats.Streams, error) {
	return nats.NewStreams(n.core, n.replicas, n.durability, quiet())
}

// log proves the log as a server does every few seconds.
func (n natsLook) log(ctx context.Context) doctor.Seen {
	streams, err := n.open()
	if err == nil {
		err = streams.Prove(ctx)
	}
	if alarm, ok := command.AlarmOf(err); ok {
		return doctor.Fail(see("operations/alerts.md")+", alarm "+string(alarm), "%v", err)
	}
	switch {
	case errors.Is(err, command.ErrLogUnsafe):
		return doctor.Fail("see nats.servers and nats.durability", "%v", err)
	case err != nil:
		return doctor.Unsure("see nats.servers", "%v", err)
	}
	return doctor.Fine("stream %s has exactly the settings of a log, and nothing was taken out of it", subject.EventsStream)
}

// streams says whether each stream is there, as it must be, and on all of its replicas.
func (n natsLook) streams(ctx context.Context) doctor.Seen {
	streams, err := n.open()
	if err != nil {
		return doctor.Unsure("see nats.servers", "%v", err)
	}
	all, err := streams.Examine(ctx)
	if err != nil {
		return doctor.Unsure("see nats.servers", "%v", err)
	}
	var missing, differ, headless, away, behind []string
	for _, s := range all {
		switch {
		case s.Missing:
			missing = append(missing, s.Name)
			continue
		case s.Differs != "":
			differ = append(differ, s.Name+" ("+s.Differs+")")
		}
		if s.Replicas > 1 && s.Leader == "" {
			headless = append(headless, s.Name)
		}
		for _, r := range s.Away {
			away = append(away, s.Name+" on "+r)
		}
		for _, r := range s.Behind {
			behind = append(behind, s.Name+" on "+r)
		}
	}
	switch {
	case len(missing) == len(all):
		return doctor.None("there are no streams yet: the first start of a server makes them")
	case len(missing) > 0:
		return doctor.Fail("if the log is among them: "+see("operations/alerts.md")+"; others are made at the next start of a server", "missing: %s", doctor.Some(missing))
	case len(headless) > 0:
		return doctor.Fail("start the NATS servers that are away; a majority elects a leader", "no leader for %s", doctor.Some(headless))
	case len(differ) > 0:
		return doctor.Fail("of EVENTS: "+see("operations/alerts.md")+"; others are changed back at the next start of a server", "not as they must be: %s", doctor.Some(differ))
	case len(away) > 0:
		return doctor.Warn("start that NATS server", "replicas are away: %s", doctor.Some(away))
	case len(behind) > 0:
		return doctor.Warn("it catches up by itself; look again in a minute", "replicas are behind: %s", doctor.Some(behind))
	}
	return doctor.Fine("%d streams and buckets are as they must be, each on %d servers", len(all), n.replicas)
}

// account says whether JetStream has room for the control plane.
func (n natsLook) account(ctx context.Context) doctor.Seen {
	streams, err := n.open()
	var room nats.Room
	if err == nil {
		room, err = streams.Room(ctx)
	}
	if err != nil {
		return doctor.Unsure("see nats.servers", "%v", err)
	}
	text := fmt.Sprintf("%d streams, %d consumers, %.1f MB on disk, %.1f MB in memory", room.Streams, room.Consumers, float64(room.Store)/1e6, float64(room.Memory)/1e6)
	for what, of := range map[string][2]float64{
		"streams":   {float64(room.Streams), float64(room.MaxStreams)},
		"consumers": {float64(room.Consumers), float64(room.MaxConsumers)},
		"disk":      {float64(room.Store), float64(room.MaxStore)},
		"memory":    {float64(room.Memory), float64(room.MaxMemory)},
	} {
		if of[1] > 0 && of[0] > (1-roomLeft)*of[1] {
			return doctor.Warn("raise the limit of account CORE: "+natsDoc, "%s; the account may take %.0f of %s", text, of[1], what)
		}
	}
	return doctor.Fine("%s; limits leave room", text)
}

// onNATS makes a check of what needs the operator's NATS.
func (x *examination) onNATS(ctx context.Context, look func(natsLook) doctor.Seen) doctor.Seen {
	bus, err := x.bus.get(ctx)
	if err != nil || bus.system == nil {
		return doctor.Unsure("", "NATS is not reached, see nats.reach")
	}
	return look(natsLook{bus.system, bus.core, x.settings.NATS.Replicas, nats.ReportedDurability(bus.system)})
}

// ofNATS is a check of [natsChecks], made here or by the server that has NATS within it.
func (x *examination) ofNATS(name string) func(context.Context) doctor.Seen {
	return func(ctx context.Context) doctor.Seen {
		if x.settings.external() {
			return x.onNATS(ctx, func(n natsLook) doctor.Seen { return n.check(name)(ctx) })
		}
		return x.ofServer(name)(ctx)
	}
}

func (x *examination) natsReached(ctx context.Context) doctor.Seen {
	if !x.settings.external() {
		return doctor.None("NATS is embedded in the server")
	}
	bus, err := x.bus.get(ctx)
	switch {
	case errors.Is(err, errElsewhere), errors.Is(err, context.DeadlineExceeded):
		return doctor.Unsure("", "%v", err)
	case err != nil:
		return doctor.Fail(natsDoc, "%v", err)
	}
	looks := map[string]doctor.Seen{}
	var names []string
	reached := 0
	for _, n := range bus.nodes {
		names = append(names, n.URL)
		if n.Err != nil {
			looks[n.URL] = doctor.Warn("start it, let this host reach it, or correct SB_NATS_URL and SB_NATS_CA_FILE: "+natsDoc, "not reached: %v", n.Err)
			continue
		}
		reached++
		looks[n.URL] = doctor.Fine("reached, it is %s", n.Server)
	}
	seen := doctor.Worst(names, looks)
	if reached == 0 {
		seen.State = doctor.Failed
	}
	return seen
}

func (x *examination) natsCertificates(ctx context.Context) doctor.Seen {
	if !x.settings.external() {
		return doctor.None("NATS is embedded in the server")
	}
	bus, err := x.bus.get(ctx)
	if err != nil {
		return doctor.Unsure("", "NATS is not reached, see nats.reach")
	}
	looks := map[string]doctor.Seen{}
	var names []string
	renew := "put new ones on that NATS server and reload it (SIGHUP): " + natsDoc
	for _, n := range bus.nodes {
		if n.Certificate != nil {
			names = append(names, n.Server)
			looks[n.Server] = doctor.Shown(n.Certificate, time.Now(), renew)
		}
	}
	for _, at := range x.settings.LeafURLs { // agents' ports, which may show another one
		name := "for agents at " + strings.TrimPrefix(at, "tls://")
		if strings.HasPrefix(at, "wss://") {
			continue // through a proxy, which may be for agents alone
		}
		names = append(names, name)
		looks[name] = x.leafPort(ctx, strings.TrimPrefix(at, "tls://"), renew)
	}
	if len(names) == 0 {
		return doctor.Unsure("", "NATS is not reached, see nats.reach")
	}
	return doctor.Worst(names, looks)
}

// leafPort shakes hands as an agent does, and says no more.
func (x *examination) leafPort(ctx context.Context, addr, renew string) doctor.Seen {
	trust, err := agentsTrust(x.settings.LeafCAFile)
	if err != nil {
		return doctor.Unsure("see certificates.authorities", "%v", err)
	}
	conn, err := (&tls.Dialer{Config: trust}).DialContext(ctx, "tcp", addr)
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &other):
		return doctor.Fail("have SB_LEAF_CA_FILE name the CA of that certificate, or renew it: "+natsDoc, "agents would not take it: %v", err)
	case err != nil:
		return doctor.Unsure("agents may reach it where this host does not; otherwise start it", "not reached: %v", err)
	}
	defer conn.Close()
	return doctor.Shown(conn.(*tls.Conn).ConnectionState().PeerCertificates[0], time.Now(), renew)
}

func (x *examination) clockOfNATS(ctx context.Context) doctor.Seen {
	if !x.settings.external() {
		return doctor.None("NATS is embedded in the server, and has its clock")
	}
	return x.onNATS(ctx, func(n natsLook) doctor.Seen {
		all, err := nats.ExamineServers(ctx, n.system)
		if err != nil {
			return doctor.Unsure("see nats.servers", "%v", err)
		}
		offsets := map[string]doctor.Offset{}
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
			offsets[s.Name] = doctor.Heard(s.Clock, s.Before, s.After, time.Microsecond)
		}
		return doctor.Judge(names, offsets)
	})
}

// endOfLog is the sequence of the newest commit.
func (x *examination) endOfLog(ctx context.Context) (events.Seq, error) {
	if !x.settings.external() {
		self, err := x.self.get(ctx)
		if err != nil {
			return 0, err
		}
		return self.Last, nil
	}
	bus, err := x.bus.get(ctx)
	if err != nil || bus.core == nil {
		return 0, fmt.Errorf("NATS is not reached: %w, see nats.reach", errElsewhere)
	}
	streams, err := natsLook{bus.system, bus.core, x.settings.NATS.Replicas, nats.ReportedDurability(bus.system)}.open()
	if err != nil {
		return 0, err
	}
	all, err := streams.Examine(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.Name == subject.EventsStream {
			return events.Seq(s.Last), nil
		}
	}
	return 0, nil
}
