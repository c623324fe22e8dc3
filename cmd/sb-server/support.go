package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/build"
	"secretsbridge/internal/postgres"
	"secretsbridge/internal/recent"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/support"
	"secretsbridge/transparency"
	"secretsbridge/web"
)

const (
	// bundleRest is between two bundles of one server: each looks at everything.
	bundleRest = 30 * time.Second

	// bundleExam bounds each check of the report in a bundle, so that a bundle is made while somebody
	// waits for it.
	bundleExam = 12 * time.Second
)

// logged are the newest log lines of this process, about an hour of a busy server.
var logged = recent.New(1<<20, 4000)

// bundleTurns lets one bundle be made at a time, and not too often.
type bundleTurns struct {
	mu   sync.Mutex
	busy bool
	last time.Time
}

func (b *bundleTurns) begin(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy || now.Sub(b.last) < bundleRest {
		return false
	}
	b.busy = true
	return true
}

func (b *bundleTurns) end(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy, b.last = false, now
}

// supportBundle is one of the server that runs: [web.ErrSupportBusy] where one is made, or was just
// now.
func (st *stack) supportBundle(ctx context.Context) ([]byte, error) {
	if !st.bundles.begin(time.Now()) {
		return nil, web.ErrSupportBusy
	}
	defer func() { st.bundles.end(time.Now()) }()
	x := newExamination(os.Environ())
	defer x.close()
	return x.bundle(ctx, st)
}

// bundle makes one, with what the server that runs in this process says; st is nil where none does.
func (x *examination) bundle(ctx context.Context, st *stack) ([]byte, error) {
	b := support.Bundle{Program: "sb-server", Version: build.Version(), At: time.Now(), Hide: x.hide, Documents: x.documents()}
	if st != nil {
		b.Documents = append(b.Documents, st.documents()...)
	}
	var file bytes.Buffer
	if err := b.Write(ctx, &file); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// documents are those that need no server in this process.
func (x *examination) documents() []support.Document {
	return []support.Document{
		support.JSON("versions.json", "what runs here: this binary, its libraries, and the schemas, Postgres and NATS as far as they were reached", x.versions),
		support.JSON("settings.json", "names of all settings, whether they are set, and the values of those that are no secrets and no addresses of people", func(context.Context) (any, error) { return x.settingsShown(), nil }),
		{Name: "doctor.json", About: "what `sb-server doctor --json` says", Write: func(ctx context.Context, to io.Writer) error {
			exam := x.exam()
			exam.Limit = bundleExam
			return exam.Look(ctx, x.checks()).WriteJSON(to)
		}},
		support.JSON("log-and-views.json", "how far the log, its checkpoint, the views and the loops are", x.positions),
		support.JSON("agents.json", "how many agents there are, by cluster, state and version", x.agentsCounted),
		support.JSON("streams.json", "the streams and buckets of NATS, where NATS is yours", x.streamsSeen),
	}
}

// documents are those that only the server itself can make.
func (st *stack) documents() []support.Document {
	return []support.Document{
		support.JSON("server.json", "whether the server is ready, what it takes its log for, its loops, and NATS within it", func(ctx context.Context) (any, error) {
			return st.ownState(ctx), nil
		}),
		{Name: "metrics.txt", About: "what /metrics says", Write: func(_ context.Context, to io.Writer) error {
			families, err := st.measures().registry().Gather()
			for _, f := range families { // what was gathered is told, whatever was not
				if _, also := expfmt.MetricFamilyToText(to, f); also != nil {
					return also
				}
			}
			return err
		}},
		{Name: "log.jsonl", About: "the newest log lines of the server, at its level", Write: func(_ context.Context, to io.Writer) error {
			_, err := logged.WriteTo(to)
			return err
		}},
		{Name: "goroutines.txt", About: "what the server is doing, by stacks without arguments", Write: func(_ context.Context, to io.Writer) error {
			return pprof.Lookup("goroutine").WriteTo(to, 1)
		}},
		{Name: "heap.txt", About: "where its memory was taken, by stacks", Write: func(_ context.Context, to io.Writer) error {
			return pprof.Lookup("heap").WriteTo(to, 1)
		}},
	}
}

func (x *examination) versions(ctx context.Context) (any, error) {
	about := struct {
		Binary    string             `json:"binary"`
		Go        string             `json:"go"`
		Platform  string             `json:"platform"`
		Build     map[string]string  `json:"build"`
		Libraries map[string]string  `json:"libraries"`
		Facts     int                `json:"kinds_of_facts"` // that this binary knows
		Schemas   []postgres.Version `json:"schemas,omitempty"`
		Postgres  string             `json:"postgres,omitempty"`
		NATS      map[string]string  `json:"nats,omitempty"` // by server
	}{
		Binary: build.Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Build: map[string]string{}, Libraries: map[string]string{}, Facts: len(events.Catalogue()), NATS: map[string]string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if !strings.Contains(s.Key, "ldflags") && !strings.Contains(s.Key, "gcflags") {
				about.Build[s.Key] = s.Value
			}
		}
		for _, d := range info.Deps {
			about.Libraries[d.Path] = d.Version
		}
	}
	if pool, err := x.pool.get(ctx); err == nil {
		about.Schemas, _ = SchemaVersions(ctx, pool)
		if server, err := postgres.Examine(ctx, pool); err == nil {
			about.Postgres = server.Version
		}
	}
	if bus, err := x.reachBus(ctx); err == nil {
		if all, err := nats.ExamineServers(ctx, bus.system); err == nil {
			for _, s := range all {
				about.NATS[s.Name] = s.Version
			}
		}
	}
	return about, nil
}

// reachBus is the operator's NATS, where there is one that answers.
func (x *examination) reachBus(ctx context.Context) (*openedNATS, error) {
	if !x.settings.external() {
		return nil, errors.New("NATS is embedded in the server")
	}
	bus, err := x.bus.get(ctx)
	if err == nil && bus.system == nil {
		err = errors.New("no server of NATS was reached")
	}
	return bus, err
}

// settingShown is a setting as a bundle has it.
type settingShown struct {
	Name  string `json:"name"`
	Set   bool   `json:"set"` // in the environment
	Value string `json:"value,omitempty"`
	Note  string `json:"note,omitempty"`
}

// withheldSettings are those whose values no bundle has, though [secretSettings] may not hold them:
// they are, hold or may hold a password, or somebody's address.
var withheldSettings = []string{"SB_DATABASE_URL", "SB_DATABASE_OWNER_URL", "SB_SMTP_FROM"}

// settingsShown are all settings, in the order of their names. Variables that begin with SB_ and are
// none are named without their values.
func (x *examination) settingsShown() []settingShown {
	set := map[string]string{}
	for _, line := range x.environ {
		name, value, _ := strings.Cut(line, "=")
		set[name] = value
	}
	names := settingNames()
	var all []settingShown
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value, isSet := set[name]
		s := settingShown{Name: name, Set: isSet}
		switch {
		case slices.Contains(secretSettings, name) || slices.Contains(withheldSettings, name):
			s.Note = "its value is withheld"
		case isSet:
			s.Value = value
		}
		all = append(all, s)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if strings.HasPrefix(name, "SB_") && !names[name] {
			all = append(all, settingShown{Name: name, Set: true, Note: "no setting of this program"})
		}
	}
	return all
}

func (x *examination) positions(ctx context.Context) (any, error) {
	pool, err := x.pool.get(ctx)
	if err != nil {
		return nil, err
	}
	var said struct {
		LogEnd     *events.Seq           `json:"log_end"` // null: not known
		Views      events.Seq            `json:"views"`
		Size       int64                 `json:"checkpoint_size"`
		SignedAt   *time.Time            `json:"checkpoint_signed_at,omitempty"`
		Root       string                `json:"checkpoint_root,omitempty"`
		Cosigned   map[string]int64      `json:"cosigned_by_outside_witnesses"`
		Agents     int                   `json:"cosigned_by_agents"` // how many ever did
		MostAgents int64                 `json:"most_cosigned_by_an_agent"`
		Loops      map[string]events.Seq `json:"loops"`
	}
	said.Cosigned = map[string]int64{}
	if end, err := x.endOfLog(ctx); err == nil {
		said.LogEnd = &end
	}
	at, err := projections.NewProgress(pool).Position(ctx)
	if err != nil {
		return nil, err
	}
	said.Views = at.Seq
	checkpoints := store.Checkpoints{Pool: pool}
	if latest, err := checkpoints.Latest(ctx); err == nil {
		said.Size, said.SignedAt, said.Root = latest.Tree.N, &latest.At, latest.Tree.Hash.String()
	}
	sizes, err := checkpoints.Witnessed(ctx)
	if err != nil {
		return nil, err
	}
	for name, size := range sizes {
		if _, agent := transparency.WitnessAgent(name); agent {
			said.Agents, said.MostAgents = said.Agents+1, max(said.MostAgents, size)
		} else {
			said.Cosigned[name] = size
		}
	}
	said.Loops, err = store.Loops{Pool: pool}.All(ctx)
	return said, err
}

func (x *examination) agentsCounted(ctx context.Context) (any, error) {
	pool, err := x.pool.get(ctx)
	if err != nil {
		return nil, err
	}
	all, whole, err := agents(ctx, pool)
	if err != nil {
		return nil, err
	}
	type kind struct {
		Cluster events.ClusterID  `json:"cluster"`
		State   events.AgentState `json:"state"`
		Version string            `json:"version"`
		Agents  int               `json:"agents"`
	}
	counts := map[kind]int{}
	for _, a := range all {
		counts[kind{a.Cluster, a.State, a.Version, 0}]++
	}
	said := struct {
		Whole  bool   `json:"all_were_counted"`
		Agents []kind `json:"agents"`
	}{Whole: whole, Agents: []kind{}}
	for k, n := range counts {
		k.Agents = n
		said.Agents = append(said.Agents, k)
	}
	slices.SortFunc(said.Agents, func(a, b kind) int {
		return strings.Compare(string(a.Cluster)+" "+string(a.State)+" "+a.Version, string(b.Cluster)+" "+string(b.State)+" "+b.Version)
	})
	return said, nil
}

func (x *examination) streamsSeen(ctx context.Context) (any, error) {
	bus, err := x.reachBus(ctx)
	if err != nil {
		return nil, err
	}
	return natsLook{bus.system, bus.core, x.settings.NATS.Replicas, nats.ReportedDurability(bus.system)}.seen(ctx)
}

// seen is all that is looked at of streams, for a bundle.
func (n natsLook) seen(ctx context.Context) (any, error) {
	streams, err := n.open()
	if err != nil {
		return nil, err
	}
	var said struct {
		Streams []nats.StreamSeen `json:"streams"`
		Room    nats.Room         `json:"room"`
		Servers []nats.ServerSeen `json:"servers"`
		Sync    []nats.ServerSync `json:"durability"`
	}
	said.Streams, err = streams.Examine(ctx)
	var also, too, last error
	said.Room, also = streams.Room(ctx)
	said.Servers, too = nats.ExamineServers(ctx, n.system)
	said.Sync, last = n.durability(ctx)
	return said, errors.Join(err, also, too, last)
}

// ownState is what this server says of itself.
func (st *stack) ownState(ctx context.Context) any {
	type loop struct {
		Name     string        `json:"name"`
		Held     bool          `json:"held"`
		Lag      time.Duration `json:"lag_ns"`
		LastRun  time.Time     `json:"last_run"`
		Position events.Seq    `json:"position"`
		Terms    int64         `json:"terms"`
		Handled  int64         `json:"handled"`
		Failed   int64         `json:"failed"`
		Buried   int64         `json:"dead_letters"`
	}
	said := struct {
		Ready      string         `json:"ready"` // "" if it is
		Draining   bool           `json:"draining"`
		Halted     string         `json:"halted"` // "" if it trusts its log
		Alarms     []string       `json:"alarms"`
		Loops      []loop         `json:"loops"`
		Compared   map[string]int `json:"differences_by_look"`
		Refused    map[string]int `json:"rows_refused"`
		Distrusted int            `json:"agents_that_distrust"`
		Checks     selfReport     `json:"self"`
		LostLines  uint64         `json:"log_lines_dropped"`
		NATS       any            `json:"nats,omitempty"` // where it is embedded
	}{Draining: st.draining.Load(), Alarms: []string{}, Loops: []loop{}, Compared: map[string]int{}, Refused: map[string]int{}, Distrusted: len(st.witnesses.Refusing()), LostLines: logged.Lost()}
	ready, cancel := context.WithTimeout(ctx, opsTimeout)
	if err := st.ready(ready); err != nil {
		said.Ready = err.Error()
	}
	cancel()
	if err := st.store.Halted(); err != nil {
		said.Halted = err.Error()
		if alarm, ok := command.AlarmOf(err); ok {
			said.Alarms = append(said.Alarms, string(alarm))
		}
	}
	for what, l := range st.comparer.looked() {
		said.Compared[string(what)] = l.differences
		if l.differences > 0 {
			said.Alarms = append(said.Alarms, viewsDiffer)
		}
	}
	for kind, n := range st.denouncer.Counted() {
		said.Refused[kind.Table+" "+kind.Why] = int(n)
	}
	for _, l := range st.worker.Stats() {
		said.Loops = append(said.Loops, loop{string(l.Name), l.Held, l.Lag, l.LastRun, l.Position, int64(l.Terms), int64(l.Handled), int64(l.Failed), int64(l.Buried)})
	}
	said.Checks = st.examineSelf(ctx)
	if !st.settings.external() {
		if system, err := st.broker.ConnectSystem("sb-server support"); err == nil {
			said.NATS, _ = natsLook{system, st.core, st.replicas(), st.broker.Durability}.seen(ctx)
			system.Close()
		}
	}
	return said
}
