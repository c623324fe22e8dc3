package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"secretsbridge/test/docs"
)

// blocks are all blocks of shell of all pages, those of decisions apart: they are of their day.
func blocks(t *testing.T) []docs.Block {
	t.Helper()
	var all []docs.Block
	for _, p := range pages(t) {
		if strings.HasPrefix(p.Path, "docs/decisions/") || p.Path == "CHANGELOG.md" {
			continue
		}
		of, err := p.Blocks()
		if err != nil {
			t.Error(err)
		}
		if p.Path == first {
			all = append(of, all...)
			continue
		}
		all = append(all, of...)
	}
	return all
}

// first is the page that is read first, in an installation that nobody has used.
const first = "docs/quick-start.md"

// TestEveryCommandExists asks the real binaries about every command in the docs, with its flags,
// also where it cannot be run here.
func TestEveryCommandExists(t *testing.T) {
	targets := makeTargets(t)
	asked := 0
	var group sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 4)
	for _, b := range blocks(t) {
		for _, step := range append(befores(b), b.Steps...) {
			commands, err := docs.Commands(step.Script)
			if err != nil {
				t.Errorf("%s:%d: the shell does not parse: %v", b.Page, b.Line, err)
			}
			for _, c := range commands {
				switch c.Program {
				case "sb", "sb-server", "sb-agent":
					asked++
					group.Go(func() {
						slots <- struct{}{}
						defer func() { <-slots }()
						if why := exists(c); why != "" {
							mu.Lock()
							defer mu.Unlock()
							t.Errorf("%s:%d: %s %s: %s", b.Page, b.Line, c.Program, strings.Join(c.Args, " "), why)
						}
					})
				case "make":
					for _, arg := range c.Args {
						if !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "=") && !slices.Contains(targets, arg) {
							t.Errorf("%s:%d: there is no make target %s", b.Page, b.Line, arg)
						}
					}
				}
			}
		}
	}
	group.Wait()
	if asked < 50 {
		t.Errorf("only %d commands were found", asked)
	}
}

func befores(b docs.Block) []docs.Step {
	var all []docs.Step
	for _, before := range b.Before {
		all = append(all, docs.Step{Script: before.Script})
	}
	return all
}

var usage = regexp.MustCompile(`(?s)(?:^|\n)Usage:\n(.*?)\n\n`)

// exists asks a binary for help on a command with all its words. It refuses a flag that it does not
// know, or whose value it cannot read, and answers for a group of commands where one in it is unknown.
func exists(c docs.Command) string {
	args := append(slices.Clone(c.Args), "--help")
	if at := slices.Index(args, "--"); at >= 0 {
		args = append(args[:at:at], "--help")
	}
	ask := exec.Command(filepath.Join(bin, c.Program), args...)
	ask.Env = []string{"HOME=" + bin, "PATH=" + os.Getenv("PATH")}
	out, err := ask.CombinedOutput()
	if err != nil {
		return strings.TrimSpace(string(out))
	}
	line := usage.FindSubmatch(out)
	if line == nil {
		return "its help has no usage"
	}
	words := slices.DeleteFunc(slices.Clone(c.Args), func(word string) bool { return strings.HasPrefix(word, "-") })
	// A command that does something itself, and has others below it, takes flags and no words.
	itself := regexp.MustCompile(`(?m)^\s+(\S+(?: \S+)*) \[flags\]$`).FindSubmatch(line[1])
	alone := itself != nil && string(itself[1]) == strings.Join(append([]string{c.Program}, words...), " ") && len(words) < len(c.Args)
	if strings.Contains(string(line[1]), "[command]") && !alone && len(words) > 0 {
		return "there is no such command:\n" + string(line[1])
	}
	return ""
}

// TestWhatIsWrongIsFound keeps the questions above able to fail.
func TestWhatIsWrongIsFound(t *testing.T) {
	for script, wrong := range map[string]bool{
		"sb request list --state pending":                    false,
		"sb request list --state pending --nonsense":         true,
		"sb request nonsense r_1":                            true,
		"sb nonsense":                                        true,
		"sb audit list --limit many":                         true,
		"x=$(bin/sb request list --nonsense)":                true,
		"SB_X=1 sb-server dev":                               false,
		"sudo -u sb SB_X=1 sb-server nonsense":               true,
		"cat a | (sb approve --nonsense r_1)":                true,
		"sb-agent status --dir /var/lib/sb-agent --nonsense": true,
	} {
		commands, err := docs.Commands(script)
		if err != nil || len(commands) == 0 {
			t.Fatalf("%s: %v, %v", script, commands, err)
		}
		found := false
		for _, c := range commands {
			found = found || (strings.HasPrefix(c.Program, "sb") && exists(c) != "")
		}
		if found != wrong {
			t.Errorf("%s: wrong %v, found %v", script, wrong, found)
		}
	}
}

var target = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)

func makeTargets(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range target.FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

var variable = regexp.MustCompile(`\bSB_[A-Z0-9_]*[A-Z0-9]\b`)

// TestEveryVariableIsOfTheReference finds settings in the docs that there are not.
func TestEveryVariableIsOfTheReference(t *testing.T) {
	reference, err := os.ReadFile(filepath.Join(root, "docs/reference/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := variable.FindAllString(string(reference), -1)
	for _, p := range pages(t) {
		if strings.HasPrefix(p.Path, "docs/decisions/") || p.Path == "CHANGELOG.md" || p.Path == "docs/migration.md" {
			continue // the first two are of their day, the last names those of another product
		}
		for _, name := range variable.FindAllString(p.Text(), -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which docs/reference/configuration.md does not have", p.Path, name)
			}
		}
	}
}
