package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/web/api"
)

// cluster is the Postgres of an auditor.
var cluster postgrestest.Cluster

// inCluster are the tests, with that beside them.
type inCluster struct{ *testing.M }

func (m inCluster) Run() int { return cluster.Main(m.M) }

func TestMain(m *testing.M) {
	testscript.Main(inCluster{m}, map[string]func(){"sb": main, "browser": browse})
}

// TestScripts types what a user would, against the API in memory. Scripts steer it with
// the command fake:
//
//	fake fail HOW...      the next calls fail, one each
//	fake drop             all streams break
//	fake expire           what is ready expires
//	fake calls TEXT       a call of this text was made
//	fake streamed         waits until one more stream is open
//	fake look             an agent sees something new in the secrets of all patches
//	fake look-in-vain     an agent sees that all patches would fail
//	fake asked PATH [N]   waits until somebody has asked for this N times, such as r_1 or jobs/j_1
//	fake step ID HOW      an agent gets on with a job: take, page, finish, finish-partly, fail, schedule
//	fake assigned A B     owner and environment that were said of a secret by hand
//	fake every N          the seconds of the schedule that was set last
//	fake moved            somebody else changes the rules of ownership
//	fake misplace         secrets are said to be elsewhere
//	fake empty            nothing was scanned yet
//	fake many             there are 51 secrets
//	fake holds FILE HEX   a file, or stdout, holds exactly these bytes
//	fake proposed KEY HEX a value of a patch was these bytes, its kind first
//	fake careful          commands need a second factor, which nobody has proved
//	fake passkey          there is a passkey
//	fake told JSON        the last command about people or machines said this
//	fake rotate           the server signs with another key from now on
//	fake refuse CODE      the next sign-in by the identity provider ends with a code
//	fake owner PATH...    only the owner may read these
//	fake approval         changes of the governance need approval
//	fake log HOW...       what happens to the log, see fakeAudit
//	fake explained JSON   that was to be explained last
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			f := newFake(t, env.WorkDir)
			env.Defer(f.close)
			env.Values["fake"] = f
			env.Setenv("SB_SERVER", f.server.URL)
			env.Setenv("SB_CA_FILE", filepath.Join(env.WorkDir, "ca.pem"))
			env.Setenv("SB_TOKEN_FILE", filepath.Join(env.WorkDir, "config", "token"))
			env.Setenv("ANNA", anna)
			env.Setenv("TZ", "UTC")
			env.Setenv("DB", string(events.SecretOf("file", "prod/db")))
			env.Setenv("HOSTILE", "a\x1b[2J\nb\u202ec")
			return errors.Join(
				os.WriteFile(filepath.Join(env.WorkDir, "events.jsonl"), fakeEventsFile(t), 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "binary"), []byte{0xff, 0x00}, 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "password"), []byte(canaryPassword+"\n"), 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "passwords"), []byte(canaryPassword+"\n"+canaryPassword+"-new\n"), 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "invited"), []byte(f.server.URL+"/#link="+canaryLink+"\n"+canaryPassword+"-new\n"), 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fake": steer, "exec-code": execCode},
	})
}

// execCode is exec for a program that has to end with one exit code: exec-code N sb ...
func execCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exited *exec.ExitError
	if !errors.As(err, &exited) {
		ts.Fatalf("it ended with %v, and not with %s", err, args[0])
	}
	if got := strconv.Itoa(exited.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func steer(ts *testscript.TestScript, neg bool, args []string) {
	f := ts.Value("fake").(*fake)
	switch args[0] {
	case "fail": // down, lose, busy, broken, often, html, redirect, garbage, huge, unsigned, altered, ahead, twice, forbidden, invalid; none fails nothing
		f.fail(args[1:]...)
	case "drop":
		f.drop()
	case "expire":
		f.expire()
	case "streamed":
		select {
		case <-f.opened:
		case <-time.After(20 * time.Second):
			ts.Fatalf("no stream was opened")
		}
	case "look":
		f.look()
	case "look-in-vain":
		f.lookInVain()
	case "asked":
		times := 1
		if len(args) > 2 {
			n, err := strconv.Atoi(args[2])
			ts.Check(err)
			times = n
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			asked := 0
			f.mu.Lock()
			for _, call := range f.calls {
				if call == "GET /api/v1/requests/"+args[1] || call == "GET /api/v1/"+args[1] {
					asked++
				}
			}
			f.mu.Unlock()
			if asked >= times {
				break
			}
			if time.Now().After(deadline) {
				ts.Fatalf("%s was asked for %d times", args[1], asked)
			}
		}
	case "step":
		ts.Check(f.step(args[1], args[2]))
	case "assigned":
		f.mu.Lock()
		defer f.mu.Unlock()
		if want := (api.Assign{Owner: args[1], Environment: args[2]}); f.assigned != want {
			ts.Fatalf("it was assigned %+v", f.assigned)
		}
	case "every":
		f.mu.Lock()
		defer f.mu.Unlock()
		if strconv.Itoa(f.every) != args[1] {
			ts.Fatalf("the schedule is %d", f.every)
		}
	case "moved":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ownership.Version++
	case "misplace":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.misplaced = true
	case "empty":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.empty = true
	case "many":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.many = true
	case "approval":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.governance.approval = true
	case "explained":
		f.mu.Lock()
		defer f.mu.Unlock()
		if string(f.explained) != args[1] {
			ts.Fatalf("%s was to be explained", f.explained)
		}
	case "log":
		f.mu.Lock()
		defer f.mu.Unlock()
		ts.Check(f.audit.steer(args[1:], ts.MkAbs))
	case "calls":
		f.mu.Lock()
		defer f.mu.Unlock()
		made := strings.Contains(strings.Join(f.calls, "\n"), args[1])
		if made == neg {
			ts.Fatalf("the calls are\n%s", strings.Join(f.calls, "\n"))
		}
	case "holds":
		if got := hex.EncodeToString([]byte(ts.ReadFile(args[1]))); got != args[2] {
			ts.Fatalf("%s holds %s", args[1], got)
		}
	case "proposed":
		f.mu.Lock()
		defer f.mu.Unlock()
		if got := hex.EncodeToString([]byte(f.proposed[args[1]])); got != args[2] {
			ts.Fatalf("%s was proposed as %s", args[1], got)
		}
	case "told":
		f.mu.Lock()
		defer f.mu.Unlock()
		said, err := json.Marshal(f.told)
		ts.Check(err)
		if !strings.Contains(string(said), args[1]) {
			ts.Fatalf("it said %s", said)
		}
	case "rotate":
		f.rotate()
	case "careful": // commands need a second factor, which nobody has proved
		f.mu.Lock()
		defer f.mu.Unlock()
		f.careful, f.steppedUp = true, false
	case "passkey":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.factors.Items = append(f.factors.Items, api.Factor{ID: "f_2", Kind: "passkey", EnrolledAt: time.Now()})
	case "refuse":
		f.mu.Lock()
		defer f.mu.Unlock()
		f.refusal = args[1]
	case "owner":
		for _, path := range args[1:] {
			info, err := os.Stat(ts.MkAbs(path))
			ts.Check(err)
			if mode := info.Mode().Perm(); mode&0o077 != 0 {
				ts.Fatalf("%s has mode %o", path, mode)
			}
		}
	default:
		ts.Fatalf("fake cannot %s", args[0])
	}
}
