package aws_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	fake "secretsbridge/test/servers/awssm"
)

const (
	create   = "CreateSecret"
	describe = "DescribeSecret"
	putValue = "PutSecretValue"
	setStage = "UpdateSecretVersionStage"
)

// labels are all staging labels of a secret, sorted.
func labels(server *fake.Server, name string) []string {
	var all []string
	for _, some := range server.Stages(name) {
		all = append(all, some...)
	}
	slices.Sort(all)
	return all
}

func wantLabels(t *testing.T, server *fake.Server, name string, want ...string) {
	t.Helper()
	if got := labels(server, name); !slices.Equal(got, want) {
		t.Errorf("staging labels of %s: %v, want %v", name, got, want)
	}
}

// TestAWriterThatComesBetweenWins has an administrator write after our version is put and
// before it would become current.
func TestAWriterThatComesBetweenWins(t *testing.T) {
	server := start(t)
	admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	first := providertest.Put(t, p, ref, "one", "")
	var moved atomic.Int64
	server.Script(func(operation string) fake.Fault {
		if operation == setStage && moved.Add(1) == 1 {
			if _, err := admin.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: sdk.String("prod/db"), SecretString: sdk.String(`{"k":"theirs"}`)}); err != nil {
				t.Error(err)
			}
		}
		return fake.None
	})
	version, err := p.Write(t.Context(), ref, providertest.Bundle(canary), first)
	if !errors.Is(err, agent.ErrConflict) || version != "" || strings.Contains(err.Error(), canary) {
		t.Errorf("write: %q, %v, want %v", version, err, agent.ErrConflict)
	}
	server.Script(nil)
	if got, _ := providertest.Value(t, p, ref); got != "theirs" {
		t.Errorf("the value is %q", got)
	}
	wantLabels(t, server, "prod/db", "AWSCURRENT", "AWSPREVIOUS")
}

// TestVersionsOfLosersDoNotPileUp counts the versions that AWS would keep for ever.
func TestVersionsOfLosersDoNotPileUp(t *testing.T) {
	server := start(t)
	admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	version := providertest.Put(t, p, ref, "one", "")
	puts := server.Calls(putValue)
	for range 30 { // late from the beginning: not even put
		if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), "00000000-0000-4000-8000-000000000000"); !errors.Is(err, agent.ErrConflict) {
			t.Fatal(err)
		}
	}
	if got := server.Calls(putValue); got != puts {
		t.Errorf("writers that were late put %d versions", got-puts)
	}
	for range 30 { // overtaken
		var once atomic.Bool
		server.Script(func(operation string) fake.Fault {
			if operation == setStage && once.CompareAndSwap(false, true) {
				if _, err := admin.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: sdk.String("prod/db"), SecretString: sdk.String(`{"k":"theirs"}`)}); err != nil {
					t.Error(err)
				}
			}
			return fake.None
		})
		if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), version); !errors.Is(err, agent.ErrConflict) {
			t.Fatal(err)
		}
		_, version = providertest.Value(t, p, ref)
	}
	wantLabels(t, server, "prod/db", "AWSCURRENT", "AWSPREVIOUS")
}

// TestACrashInAnyStepLeavesASecretThatWorks stops a writer before and after each call that
// it makes, and then reads and writes as somebody else.
func TestACrashInAnyStepLeavesASecretThatWorks(t *testing.T) {
	server := start(t)
	admin := root(t, server)
	type crash struct {
		step    string
		nth     int64 // call of that operation
		fault   fake.Fault
		written bool // whether the new value must be there
	}
	prepare := map[string]func(t *testing.T, name string) agent.Version{
		"a new secret": func(*testing.T, string) agent.Version { return "" },
		"a next version": func(t *testing.T, name string) agent.Version {
			return providertest.Put(t, open(t, configure(t, server)), providertest.Ref(t, name), "one", "")
		},
		"a secret without a value": func(t *testing.T, name string) agent.Version {
			if _, err := admin.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String(name)}); err != nil {
				t.Fatal(err)
			}
			return ""
		},
	}
	n := 0
	for kind, crashes := range map[string][]crash{
		"a new secret": {{create, 1, fake.Reset, false}, {create, 1, fake.Lost, true}},
		"a next version": {
			{describe, 1, fake.Lost, false}, {putValue, 1, fake.Reset, false}, {putValue, 1, fake.Lost, false},
			{setStage, 1, fake.Reset, false}, {setStage, 1, fake.Lost, true}, {setStage, 2, fake.Reset, true}, {setStage, 2, fake.Lost, true},
		},
		"a secret without a value": {{create, 1, fake.Lost, false}, {describe, 1, fake.Lost, false}, {putValue, 1, fake.Reset, false}, {putValue, 1, fake.Lost, true}, {setStage, 1, fake.Lost, true}},
	} {
		for _, c := range crashes {
			n++
			name := fmt.Sprintf("crash/%d", n)
			t.Run(fmt.Sprintf("%s, %s %d %s", kind, c.step, c.nth, c.fault), func(t *testing.T) {
				ref := providertest.Ref(t, name)
				expect := prepare[kind](t, name)
				dying := open(t, configure(t, server))
				ctx, cancel := context.WithCancel(t.Context())
				var nth atomic.Int64
				var dead atomic.Bool
				server.Script(func(operation string) fake.Fault {
					switch {
					case dead.Load():
						return fake.Reset
					case operation == c.step && nth.Add(1) == c.nth:
						dead.Store(true)
						cancel()
						return c.fault
					}
					return fake.None
				})
				version, err := dying.Write(ctx, ref, providertest.Bundle("two"), expect)
				if err != nil && !errors.Is(err, agent.ErrUnavailable) {
					t.Errorf("the write that was cut short: %v", err)
				}
				if !dead.Load() {
					t.Fatalf("the write never came to %s", c.step)
				}
				server.Script(nil)

				alive := open(t, configure(t, server))
				b, readErr := alive.Read(t.Context(), ref)
				switch {
				case errors.Is(readErr, agent.ErrNotFound) && expect == "" && !c.written:
				case readErr != nil:
					t.Fatalf("read after the crash: %v", readErr)
				case string(b.Entries["k"].Value.Expose()) != map[bool]string{true: "two", false: "one"}[c.written]:
					t.Errorf("after the crash the value is %q", b.Entries["k"].Value.Expose())
				case err == nil && b.Version != version:
					t.Errorf("version %q was reported and %q is there", version, b.Version)
				}
				providertest.Put(t, alive, ref, "three", b.Version)
				if got, _ := providertest.Value(t, alive, ref); got != "three" {
					t.Errorf("after the next write the value is %q", got)
				}
			})
		}
	}
}

// TestAnAnswerThatIsLostIsFoundOut loses answers to calls that had their effect.
func TestAnAnswerThatIsLostIsFoundOut(t *testing.T) {
	for name, c := range map[string]struct {
		operation string
		times     int64
		fresh     bool // a secret that is new
	}{
		"once, while creating":            {create, 1, true},
		"again and again, while creating": {create, 5, true},
		"once, while putting":             {putValue, 1, false},
		"once, while moving":              {setStage, 1, false},
		"again and again, while moving":   {setStage, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
			expect := agent.Version("")
			if !c.fresh {
				expect = providertest.Put(t, p, ref, "one", "")
			}
			var lost atomic.Int64
			server.Script(func(operation string) fake.Fault {
				if operation == c.operation && lost.Add(1) <= c.times {
					return fake.Lost
				}
				return fake.None
			})
			version := providertest.Put(t, p, ref, "two", expect)
			server.Script(nil)
			if got, now := providertest.Value(t, p, ref); got != "two" || now != version {
				t.Errorf("value %q of version %q, written %q", got, now, version)
			}
			if lost.Load() < c.times {
				t.Errorf("%d answers were lost, want %d", lost.Load(), c.times)
			}
		})
	}
}

// TestAWriteThatNobodyCanJudgeSaysSo loses the answer to a move, and before the provider
// can look, others write: once, which it can see, and twice, which it cannot.
func TestAWriteThatNobodyCanJudgeSaysSo(t *testing.T) {
	for _, others := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d writes later", others), func(t *testing.T) {
			server := start(t)
			admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
			first := providertest.Put(t, p, ref, "one", "")
			var moves atomic.Int64
			server.Script(func(operation string) fake.Fault {
				if operation != setStage {
					return fake.None
				}
				switch moves.Add(1) {
				case 1:
					return fake.Lost
				case 2:
					for range others {
						if _, err := admin.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: sdk.String("prod/db"), SecretString: sdk.String(`{"k":"theirs"}`)}); err != nil {
							t.Error(err)
						}
					}
				}
				return fake.None
			})
			version, err := p.Write(t.Context(), ref, providertest.Bundle(canary), first)
			switch {
			case others == 1 && (err != nil || version == ""):
				t.Errorf("write: %q, %v", version, err)
			case others == 2 && (!errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "unknown") || version != ""):
				t.Errorf("write: %q, %v, want that the outcome is unknown", version, err)
			}
		})
	}
}

// TestACreationThatNobodyMayLookAtIsUnknown loses every answer to a creation, and has no
// right to look: no answer that came later may be taken for that of the first call.
func TestACreationThatNobodyMayLookAtIsUnknown(t *testing.T) {
	for name, later := range map[string]fake.Fault{"lost again and again": fake.Lost, "then forbidden": fake.Forbidden, "then unknown to AWS": fake.Unsigned} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
			var creations atomic.Int64
			server.Script(func(operation string) fake.Fault {
				switch {
				case operation == describe:
					return fake.Forbidden
				case operation == create && creations.Add(1) == 1:
					return fake.Lost
				}
				return later
			})
			version, err := p.Write(t.Context(), ref, providertest.Bundle(canary), "")
			if !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "unknown") || version != "" {
				t.Errorf("write: %q, %v, want that the outcome is unknown", version, err)
			}
			server.Script(nil)
			if got, _ := providertest.Value(t, p, ref); got != canary {
				t.Errorf("the value is %q", got)
			}
		})
	}
}

// TestLabelsThatWritesLeftAreSwept fills a secret with what 18 writes left that were cut
// short: AWS allows 20 labels.
func TestLabelsThatWritesLeftAreSwept(t *testing.T) {
	server := start(t)
	admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	first := providertest.Put(t, p, ref, "one", "")
	second := providertest.Put(t, p, ref, "two", first)
	label := func(text string) error {
		_, err := admin.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: sdk.String("prod/db"), VersionStage: sdk.String(text), MoveToVersionId: sdk.String(string(first)),
		})
		return err
	}
	young := fmt.Sprintf("secretsbridge-%d-0123abcd", time.Now().Unix())
	theirs := []string{young, "secretsbridge-1", "release", "secretsbridge-x"}
	for _, text := range theirs[:3] {
		if err := label(text); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 15 {
		if err := label(fmt.Sprintf("secretsbridge-%d-0123abcd", 1_700_000_000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := label("one more"); err == nil {
		t.Fatal("the secret has room for a label")
	}
	providertest.Put(t, p, ref, "three", second)
	wantLabels(t, server, "prod/db", "AWSCURRENT", "AWSPREVIOUS", "release", young)

	// Without anything of ours to take off, the quota is the answer.
	for i := range 16 {
		if err := label(fmt.Sprint("theirs-", i)); err != nil {
			t.Fatal(err)
		}
	}
	_, third := providertest.Value(t, p, ref)
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), third); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "quota") {
		t.Errorf("write without room for a label: %v", err)
	}
}

func TestWhatCannotBeWrittenIsLeftAlone(t *testing.T) {
	server := start(t)
	admin, p := root(t, server), open(t, configure(t, server))
	for name, c := range map[string]struct {
		prepare func(name string) error
		want    error
		says    string
	}{
		"a replica": {func(name string) error { server.MakeReplica(name); return nil }, agent.ErrForbidden, "replica"},
		"a rotation under way": {func(name string) error {
			server.SetRotation(name, true)
			_, err := admin.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: sdk.String(name), SecretString: sdk.String("{}"), VersionStages: []string{"AWSPENDING"}})
			return err
		}, agent.ErrConflict, "rotating"},
		"a secret that was deleted": {func(name string) error {
			_, err := admin.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: sdk.String(name)})
			return err
		}, agent.ErrConflict, "scheduled for deletion"},
		"a key that is closed": {func(string) error { server.LockKey(true); return nil }, agent.ErrForbidden, "KMS"},
		"no right to put":      {func(string) error { server.Deny(putValue, true); return nil }, agent.ErrForbidden, putValue},
		"no right to move":     {func(string) error { server.Deny(setStage, true); return nil }, agent.ErrForbidden, setStage},
	} {
		t.Run(name, func(t *testing.T) {
			secret := strings.ReplaceAll(name, " ", "-")
			version := providertest.Put(t, p, providertest.Ref(t, secret), "one", "")
			if err := c.prepare(secret); err != nil {
				t.Fatal(err)
			}
			got, err := p.Write(t.Context(), providertest.Ref(t, secret), providertest.Bundle(canary), version)
			server.LockKey(false)
			server.Deny(putValue, false)
			server.Deny(setStage, false)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || got != "" || strings.Contains(err.Error(), canary) {
				t.Errorf("%q, %v, want %v that says %q", got, err, c.want, c.says)
			}
			stages := server.Stages(secret)[string(version)]
			if !slices.Contains(stages, "AWSCURRENT") {
				t.Errorf("the version before has the labels %v", stages)
			}
		})
	}
	// A rotation that has ended, and one that nobody will end, stop nobody.
	version := providertest.Put(t, p, providertest.Ref(t, "rotated"), "one", "")
	if _, err := admin.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: sdk.String("rotated"), VersionStage: sdk.String("AWSPENDING"), MoveToVersionId: sdk.String(string(version)),
	}); err != nil {
		t.Fatal(err)
	}
	server.SetRotation("rotated", true)
	version = providertest.Put(t, p, providertest.Ref(t, "rotated"), "two", version)
	server.SetRotation("rotated", false)
	providertest.Put(t, p, providertest.Ref(t, "rotated"), "three", version)
}

func TestANameThatWaitsForItsEndCannotBeCreated(t *testing.T) {
	server := start(t)
	admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	providertest.Put(t, p, ref, "one", "")
	if _, err := admin.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: sdk.String("prod/db"), RecoveryWindowInDays: sdk.Int64(7)}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), ""); !errors.Is(err, agent.ErrConflict) || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("write: %v", err)
	}
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), "scheduled for deletion") {
		t.Errorf("read: %v", err)
	}
	if _, err := admin.RestoreSecret(t.Context(), &secretsmanager.RestoreSecretInput{SecretId: sdk.String("prod/db")}); err != nil {
		t.Fatal(err)
	}
	if got, _ := providertest.Value(t, p, ref); got != "one" {
		t.Errorf("after it was restored the value is %q", got)
	}
}

func TestTheFirstValueOfAnEmptySecretHasOneWriter(t *testing.T) {
	server := start(t)
	admin, p, ref := root(t, server), open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	if _, err := admin.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String("prod/db")}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), "no current value") {
		t.Errorf("read: %v", err)
	}
	won := make(chan string, 6)
	for i := range cap(won) {
		go func() {
			text := fmt.Sprint("writer ", i)
			_, err := p.Write(context.Background(), ref, providertest.Bundle(text), "")
			switch {
			case err == nil:
				won <- text
			case errors.Is(err, agent.ErrConflict):
				won <- ""
			default:
				t.Error(err)
				won <- ""
			}
		}()
	}
	winner := ""
	for range cap(won) {
		if text := <-won; text != "" && winner != "" {
			t.Errorf("%s and %s won", winner, text)
		} else if text != "" {
			winner = text
		}
	}
	if got, _ := providertest.Value(t, p, ref); got != winner || winner == "" {
		t.Errorf("the value is %q, won has %q", got, winner)
	}
	wantLabels(t, server, "prod/db", "AWSCURRENT")
}
