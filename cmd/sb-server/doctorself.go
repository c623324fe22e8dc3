package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"secretsbridge/command"
	"secretsbridge/doctor"
	"secretsbridge/events"
	"secretsbridge/internal/build"
)

// selfTime bounds each check that a running server makes of itself.
const selfTime = 6 * time.Second

// loopLate is how far a loop of the worker may be behind.
const loopLate = 5 * time.Minute

// selfReport is what a running server says of itself.
type selfReport struct {
	Version  string           `json:"version"`
	Last     events.Seq       `json:"last"` // of the log, 0 where it does not answer
	Findings []doctor.Finding `json:"checks"`
}

// selfChecks are what only a server itself can say, in their order.
var selfChecks = []string{"server.ready", "server.log", "server.compared", "server.rows", "server.loops", "server.agents"}

// examineSelf makes them, and those of NATS where that is embedded.
func (st *stack) examineSelf(ctx context.Context) selfReport {
	checks := []doctor.Check{
		{Name: "server.ready", Look: st.isReady},
		{Name: "server.log", Look: st.trustsLog},
		{Name: "server.compared", Look: st.viewsCompared},
		{Name: "server.rows", Look: st.rowsOpened},
		{Name: "server.loops", Look: st.loopsRun},
		{Name: "server.agents", Look: st.agentsTrustLog},
	}
	if !st.settings.external() {
		system, err := st.broker.ConnectSystem("sb-server doctor")
		if err == nil {
			defer system.Close()
			look := natsLook{system, st.core, st.replicas(), st.broker.Durability}
			for _, name := range natsChecks {
				checks = append(checks, doctor.Check{Name: name, Look: look.check(name)})
			}
		}
	}
	r := selfReport{Version: build.Version()}
	exam := doctor.Exam{Program: "sb-server", Version: r.Version, Limit: selfTime, Now: time.Now}
	r.Findings = exam.Look(ctx, checks).Findings
	if last, err := st.store.Last(ctx); err == nil {
		r.Last = last
	}
	return r
}

func (st *stack) isReady(ctx context.Context) doctor.Seen {
	ctx, cancel := context.WithTimeout(ctx, opsTimeout)
	defer cancel()
	if err := st.ready(ctx); err != nil {
		return doctor.Fail("look at what the other checks say", "the server that runs cannot work now: %v", err)
	}
	return doctor.Fine("the server that runs can do its work")
}

func (st *stack) trustsLog(context.Context) doctor.Seen {
	if err := st.store.Halted(); err != nil {
		alarm, _ := command.AlarmOf(err)
		return doctor.Fail(see("operations/alerts.md")+", alarm "+string(alarm), "the server that runs does not trust its log any more: %v", err)
	}
	return doctor.Fine("the server that runs trusts its log")
}

func (st *stack) viewsCompared(context.Context) doctor.Seen {
	differ, when := 0, time.Time{}
	for _, l := range st.comparer.looked() {
		differ += l.differences
		if l.at.After(when) {
			when = l.at
		}
	}
	switch {
	case differ > 0:
		return doctor.Fail("sb audit compare names them, and sb-server rebuild makes them anew: "+see("how-to/log-trouble.md"), "%d rows of views and audit are not what the log says", differ)
	case when.IsZero():
		return doctor.None("this server has not compared views and audit with the log yet; another one may have")
	}
	return doctor.Fine("views and audit are what the log says, by the look of %s", when.UTC().Format(time.RFC3339))
}

func (st *stack) rowsOpened(context.Context) doctor.Seen {
	var all []string
	for kind, n := range st.denouncer.Counted() {
		all = append(all, fmt.Sprintf("%d of %s (%s)", n, kind.Table, kind.Why))
	}
	slices.Sort(all)
	if len(all) > 0 {
		return doctor.Fail("ask who wrote to the database: "+see("operations/alerts.md")+", SecretsBridgeRowsRefused", "rows that somebody else than the control plane wrote opened nothing: %s", doctor.Some(all))
	}
	return doctor.Fine("no row was refused since the server started")
}

func (st *stack) loopsRun(context.Context) doctor.Seen {
	var late []string
	held := 0
	all := st.worker.Stats()
	for _, l := range all {
		if l.Held {
			held++
			if l.Lag > loopLate {
				late = append(late, fmt.Sprintf("%s, %s", l.Name, l.Lag.Round(time.Second)))
			}
		}
	}
	if len(late) > 0 {
		return doctor.Warn("look at the server's log for what they cannot do, and at sb_loop_failed_total", "behind: %s", doctor.Some(late))
	}
	return doctor.Fine("of %d loops this server works at %d, and none is behind", len(all), held)
}

func (st *stack) agentsTrustLog(context.Context) doctor.Seen {
	refusing := st.witnesses.Refusing()
	if len(refusing) == 0 {
		return doctor.Fine("no agent takes the log for another one")
	}
	var all []string
	for id, why := range refusing {
		all = append(all, fmt.Sprintf("%s (%s)", id, why))
	}
	slices.Sort(all)
	return doctor.Fail("start no other server, and find out which log is the right one: "+see("how-to/log-trouble.md"), "agents do no jobs, because they saw another log: %s", doctor.Some(all))
}

// askServer asks the server that runs with this data directory.
func (x *examination) askServer(ctx context.Context) (*selfReport, error) {
	var said *selfReport
	err := askControl(ctx, x.settings, http.MethodGet, "/doctor", func(a controlAnswer) error {
		said = a.Self
		return nil
	})
	if err != nil {
		return nil, err
	}
	if said == nil {
		return nil, errors.New("the server that runs is of another version, which does not say how it stands")
	}
	return said, nil
}

// ofServer is a check that a running server makes of itself.
func (x *examination) ofServer(name string) func(context.Context) doctor.Seen {
	return func(ctx context.Context) doctor.Seen {
		self, err := x.self.get(ctx)
		switch {
		case errors.Is(err, errNoServer):
			if slices.Contains(selfChecks, name) {
				return doctor.None("no server runs with %s", x.settings.DataDir)
			}
			return doctor.Unsure("start it: sb-server serve, or sb-server dev", "NATS is embedded in the server, and none runs with %s", x.settings.DataDir)
		case err != nil:
			return doctor.Unsure("run it as the server's user, with its environment", "the server that runs does not answer: %v", err)
		}
		for _, f := range self.Findings {
			if f.Check == name {
				return doctor.Seen{State: f.State, Text: f.Seen, Next: f.Next}
			}
		}
		return doctor.Unsure("restart the server with this binary", "the server that runs does not know of this check")
	}
}

// apiAnswers looks who listens at the address of the API.
func (x *examination) apiAnswers(ctx context.Context) doctor.Seen {
	addr, err := reachable(x.settings.HTTPAddr)
	if err != nil {
		return doctor.None("SB_HTTP_ADDR: %v", err)
	}
	_, self := x.self.get(ctx)
	// Who it is does not matter here: nothing is sent.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}).DialContext(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED) && self != nil:
		return doctor.None("nothing listens at %s: no server runs here", addr)
	case err != nil && self != nil:
		return doctor.Fail("have SB_HTTP_ADDR name another port, or end what listens there", "something that is no server of ours listens at %s: %v", addr, err)
	case err != nil:
		return doctor.Fail("look at the server's log", "a server runs and does not answer at %s: %v", addr, err)
	}
	defer conn.Close()
	shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	seen := doctor.Shown(shown, time.Now(), "put a new certificate in the place of the old one, as certificates.api says")
	seen.Text = "at " + addr + " a certificate is shown that is " + seen.Text
	if x.settings.TLSCertFile != "" && seen.State == doctor.OK {
		if pair, err := tls.LoadX509KeyPair(x.settings.TLSCertFile, x.settings.TLSKeyFile); err == nil && !pair.Leaf.Equal(shown) {
			return doctor.Warn("have the server's user read the files; its log says why it does not show them", "at %s another certificate is shown than the one in %s", addr, x.settings.TLSCertFile)
		}
	}
	return seen
}

// opsAnswers asks for readiness as whoever balances the load does.
func (x *examination) opsAnswers(ctx context.Context) doctor.Seen {
	addr, err := reachable(x.settings.OpsAddr)
	if err != nil {
		return doctor.None("SB_OPS_ADDR: %v", err)
	}
	_, self := x.self.get(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return doctor.Fail("correct SB_OPS_ADDR", "%v", err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused) && self != nil:
		return doctor.None("nothing listens at %s: no server runs here", addr)
	case err != nil && self != nil:
		return doctor.Fail("have SB_OPS_ADDR name another port, or end what listens there", "something that is no server of ours listens at %s", addr)
	case err != nil:
		return doctor.Fail("look at the server's log", "a server runs and does not answer at %s: %v", addr, err)
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	switch {
	case res.StatusCode == http.StatusOK && strings.TrimSpace(string(said)) == "ok":
		return doctor.Fine("the server at %s is ready", addr)
	case res.StatusCode == http.StatusServiceUnavailable:
		return doctor.Fail("see server.ready", "the server at %s is not ready", addr)
	}
	return doctor.Fail("have SB_OPS_ADDR name another port, or end what listens there", "something that is no server of ours answers at %s", addr)
}
