package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"secretsbridge/test/docs"
)

// TestEveryCommandRuns runs what the pages say, page by page and from top to bottom, against one
// installation that all of them share.
func TestEveryCommandRuns(t *testing.T) {
	all := blocks(t)
	in := install(t)
	in.signIn(t)
	ran, pages := 0, map[string]bool{}
	for len(all) > 0 {
		page := all[0].Page
		end := slices.IndexFunc(all, func(b docs.Block) bool { return b.Page != page })
		if end < 0 {
			end = len(all)
		}
		of := all[:end]
		all = all[end:]
		if !slices.ContainsFunc(of, func(b docs.Block) bool { return b.NotRun == "" }) {
			continue
		}
		pages[page] = true
		t.Run(page, func(t *testing.T) {
			r := in.open(t, page)
			for _, b := range of {
				if b.As != "" {
					r.as = b.As
				}
				if b.NotRun == "" && !t.Failed() {
					r.run(t, b)
					ran++
				}
			}
		})
	}
	if ran < 40 || !pages["README.md"] || !pages["docs/quick-start.md"] {
		t.Errorf("only %d blocks were run, of %v", ran, pages)
	}
}

// TestWhatIsNotRunSaysWhy lists what is only read. It fails where a reason is too common to be one.
func TestWhatIsNotRunSaysWhy(t *testing.T) {
	for _, b := range blocks(t) {
		if b.NotRun != "" {
			t.Logf("%s:%d is read and not run: %s", b.Page, b.Line, b.NotRun)
		}
	}
}

// signIn makes a session for each person, which pages take copies of.
func (in *installation) signIn(t *testing.T) {
	t.Helper()
	in.inviteAuditor(t)
	for who, email := range people {
		cmd := exec.Command(filepath.Join(bin, "sb"), "login", "--email", email, "--password-stdin")
		cmd.Env = append(ownEnvironment(), "SB_SERVER="+in.url, "SB_CA_FILE="+filepath.Join(in.data, "ca.pem"), "SB_SERVER_KEY="+in.key, "SB_TOKEN_FILE="+filepath.Join(bin, "session-"+who))
		cmd.Stdin = strings.NewReader(password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sign in as %s: %v\n%s", who, err, out)
		}
	}
}

// inviteAuditor lets somebody in whose only role is auditor, from the host, as the first person of an installation is.
func (in *installation) inviteAuditor(t *testing.T) {
	t.Helper()
	invite := exec.Command(filepath.Join(bin, "sb-server"), "person", "invite", people[auditor], "--name", "Aud Auditor", "--role", auditor)
	invite.Env = append(ownEnvironment(), "SB_DATA_DIR="+in.data)
	var said bytes.Buffer
	invite.Stderr = &said
	link, err := invite.Output()
	if err != nil {
		t.Fatalf("invite an auditor: %v\n%s", err, &said)
	}
	redeem := exec.Command(filepath.Join(bin, "sb"), "link", "redeem", "--password-stdin")
	redeem.Env = append(ownEnvironment(), "SB_SERVER="+in.url, "SB_CA_FILE="+filepath.Join(in.data, "ca.pem"), "SB_SERVER_KEY="+in.key)
	redeem.Stdin = strings.NewReader(strings.TrimSpace(string(link)) + "\n" + password + "\n")
	if out, err := redeem.CombinedOutput(); err != nil {
		t.Fatalf("let the auditor in: %v\n%s", err, out)
	}
}

// A reader follows one page in a folder of its own.
type reader struct {
	in   *installation
	dir  string
	as   string
	seen map[string]string // of each kind the id that was seen last, or first in what was printed last
}

func (in *installation) open(t *testing.T, page string) *reader {
	t.Helper()
	r := &reader{in: in, dir: t.TempDir(), as: "developer", seen: map[string]string{}}
	for name, to := range map[string]string{"bin/sb-server": "sb-server", "bin/sb-agent": "sb-agent", ".data": "data"} {
		r.link(t, filepath.Join(bin, to), name)
	}
	// What make run's readers do at the prompt: they type the password.
	typed := fmt.Sprintf("#!/bin/bash\nif [ \"$1\" = login ] && [[ \" $* \" != *\" --password-stdin \"* ]]; then\n  exec %s \"$@\" --password-stdin <<<%s\nfi\nexec %[1]s \"$@\"\n",
		filepath.Join(bin, "sb"), password)
	if err := os.WriteFile(filepath.Join(r.dir, "bin/sb"), []byte(typed), 0o755); err != nil {
		t.Fatal(err)
	}
	for who := range people {
		for _, part := range []string{"", ".key", ".state"} {
			text, err := os.ReadFile(filepath.Join(bin, "session-"+who+part))
			if err == nil {
				err = os.WriteFile(filepath.Join(r.dir, ".session-"+who+part), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

func (r *reader) link(t *testing.T, to, name string) {
	t.Helper()
	at := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) run(t *testing.T, b docs.Block) {
	t.Helper()
	for _, before := range b.Before {
		as := before.As
		if as == "" {
			as = r.as
		}
		if out, err := r.bash(t, as, "set -eu -o pipefail", before.Script); err != nil {
			t.Fatalf("%s:%d: what is before it: %v\n%s", b.Page, b.Line, err, out)
		}
	}
	strict := "set -eu -o pipefail"
	if b.Console {
		strict = "set -eu" // as at a prompt: what a pipe cuts off is no fault
	}
	for i, step := range b.Steps {
		out, err := r.bash(t, r.as, strict, step.Script)
		want := 0
		if i == len(b.Steps)-1 {
			want = b.Fails
		}
		if got := exitCode(err); got != want {
			t.Fatalf("%s:%d: as %s, exit code %d instead of %d:\n%s\n%s", b.Page, b.Line, r.as, got, want, step.Script, out)
		}
		if missing := headings(step.Shown, out); missing != "" {
			t.Fatalf("%s:%d: the page shows the headings\n%s\nand there is\n%s", b.Page, b.Line, missing, out)
		}
	}
}

// preamble restores the variables of earlier blocks, and keeps those that are new.
const preamble = `
__first=$(compgen -v | sort)
if [ -e .variables ]; then . ./.variables; fi
trap 'for __v in $(comm -13 <(echo "$__first") <(compgen -v | sort)); do case "$__v" in __*|BASH*|PIPESTATUS) ;; *) declare -p "$__v" ;; esac; done > .variables.new && mv .variables.new .variables' EXIT
`

var (
	identifier  = regexp.MustCompile(`\b([a-z])_[0-9a-hjkmnp-tv-z]{26}\b`)
	placeholder = regexp.MustCompile(`\b([a-z])_…|\bREQUEST\b`)
	address     = regexp.MustCompile(`https://(127\.0\.0\.1|localhost):8443`)
)

// bash runs one script as somebody.
func (r *reader) bash(t *testing.T, as, strict, script string) (string, error) {
	t.Helper()
	if _, known := people[as]; !known {
		t.Fatalf("there is nobody called %q: write developer, approver, admin or auditor", as)
	}
	var unknown error
	script = placeholder.ReplaceAllStringFunc(script, func(found string) string {
		kind := "r"
		if found != "REQUEST" {
			kind = found[:1]
		}
		if r.seen[kind] == "" {
			unknown = fmt.Errorf("no id %s_… was seen on this page before", kind)
		}
		return r.seen[kind]
	})
	if unknown != nil {
		return unknown.Error(), unknown
	}
	script = address.ReplaceAllString(script, r.in.url)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", strict+preamble+script)
	cmd.Dir = r.dir
	cmd.Env = append(ownEnvironment(), "PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"), "HOME="+r.dir, "SB_SERVER="+r.in.url,
		"SB_CA_FILE="+filepath.Join(r.in.data, "ca.pem"), "SB_SERVER_KEY="+r.in.key, "SB_TOKEN_FILE="+filepath.Join(r.dir, ".session-"+as),
		"DEMO_PASSWORD="+password, "WORLD="+r.in.world)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	found := identifier.FindAllStringSubmatch(out.String(), -1)
	for _, id := range slices.Backward(found) { // lists have the newest first
		r.seen[id[1]] = id[0]
	}
	return out.String(), err
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	case errors.Is(err, fs.ErrNotExist):
		return 127
	}
	return -1
}

var heading = regexp.MustCompile(`^[A-Z][A-Z-]*( +[A-Z][A-Z-]*)+$`)

// headings returns a line of headings that a page shows and that is not printed.
func headings(shown []string, printed string) string {
	for _, line := range shown {
		fields := strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "…")), " ")
		if !heading.MatchString(fields) {
			continue
		}
		found := false
		for p := range strings.Lines(printed) {
			found = found || strings.HasPrefix(strings.Join(strings.Fields(p), " "), fields)
		}
		if !found {
			return line
		}
	}
	return ""
}
