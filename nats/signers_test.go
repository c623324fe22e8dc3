package nats

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
)

// keep puts a document where the next [OpenAuthority] finds it, as a crash after it would.
func keep(t *testing.T, dir string, doc []byte) *Authority {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, SignersName), doc, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// step is one step of a rotation and what follows from it.
func step(t *testing.T, dir string, doc []byte, err error) *Authority {
	t.Helper()
	if err != nil || doc == nil {
		t.Fatalf("no document: %v", err)
	}
	return keep(t, dir, doc)
}

func TestSigningKeysGoStepByStepAndNamesStay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	a, err := CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids := [3]string{a.operatorID, a.corePub, a.systemPub}
	account, err := NewAgentAccount()
	if err != nil {
		t.Fatal(err)
	}
	agent := Agent{Account: account, Cluster: "prod", UserKey: "UB6AXS2DWKZNXXIVRGZ7XNYHQHO6CWEO5HKXJLXOMRRULXLL3B6BTAZ5"}
	name, err := a.consumer("prod")
	if err != nil {
		t.Fatal(err)
	}
	// What one step has to show: who signs accounts, how many keys they name, and what stayed.
	shows := func(a *Authority, coreKeys, agentKeys int, strict bool) {
		t.Helper()
		core, err := a.coreAccount()
		if err != nil {
			t.Fatal(err)
		}
		mine, err := a.agentAccount(agent)
		if err != nil {
			t.Fatal(err)
		}
		for signed, want := range map[string]int{core: coreKeys, mine: agentKeys} {
			claims, err := jwt.DecodeAccountClaims(signed)
			if err != nil {
				t.Fatal(err)
			}
			if claims.Issuer != a.now.Load().operatorPub || len(claims.SigningKeys) != want {
				t.Errorf("%s names %d keys, want %d", claims.Name, len(claims.SigningKeys), want)
			}
		}
		if again, err := a.consumer("prod"); again != name || err != nil {
			t.Errorf("the consumer is called otherwise, %v", err)
		}
		if [3]string{a.operatorID, a.corePub, a.systemPub} != ids {
			t.Error("an account is called otherwise")
		}
		if a.Configured().Strict != strict {
			t.Errorf("servers are strict: %v", !strict)
		}
	}
	shows(a, 0, 1, false)
	if doc, err := a.Promoted(AccountKeys, time.Now(), time.Now()); err == nil {
		t.Errorf("keys that nobody prepared sign: %s", doc)
	}

	doc, err := a.Prepared(AccountKeys)
	a = step(t, dir, doc, err)
	shows(a, 1, 2, false)
	if !a.State(AccountKeys).Begun || a.State(AccountKeys).Current[0] != ids[1] {
		t.Errorf("a key that is prepared signs: %+v", a.State(AccountKeys))
	}
	if again, err := a.Prepared(AccountKeys); again != nil || err != nil {
		t.Errorf("a second try makes other keys: %v", err)
	}
	until := time.Now().Add(time.Hour)
	doc, err = a.Promoted(AccountKeys, time.Now(), until)
	a = step(t, dir, doc, err)
	shows(a, 1, 2, false)
	if early, err := a.Dropped(AccountKeys, until.Add(-time.Second)); early != nil || err != nil {
		t.Errorf("a former key is dropped before its time: %v", err)
	}
	doc, err = a.Dropped(AccountKeys, until)
	a = step(t, dir, doc, err)
	shows(a, 1, 1, false)

	doc, err = a.Prepared(OperatorKeys)
	a = step(t, dir, doc, err)
	if trust := a.Configured(); trust.Strict || len(trust.Keys) != 1 {
		t.Errorf("%+v", trust)
	}
	doc, err = a.Promoted(OperatorKeys, time.Now(), until)
	a = step(t, dir, doc, err)
	shows(a, 1, 1, true)
	if s := a.State(OperatorKeys); s.Former != 1 || len(a.now.Load().issuers) != 2 {
		t.Errorf("%+v", s)
	}
	doc, err = a.Dropped(OperatorKeys, until)
	a = step(t, dir, doc, err)
	if s := a.State(OperatorKeys); s.Former != 0 || s.Own || s.Serial != 6 {
		t.Errorf("%+v", s)
	}
	// And once more, from signing keys to signing keys.
	doc, err = a.Prepared(AccountKeys)
	a = step(t, dir, doc, err)
	shows(a, 2, 2, true)
	doc, err = a.Promoted(AccountKeys, time.Now(), until)
	a = step(t, dir, doc, err)
	shows(a, 2, 2, true)
	doc, err = a.Dropped(AccountKeys, until)
	shows(step(t, dir, doc, err), 1, 1, true)
}

// What one server signed after a rotation is not undone by one that has not heard of it.
func TestWhoHasOlderSigningKeysLeavesWhatNewerOnesSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	made, err := CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	states := []*Authority{made}
	for _, next := range []func(*Authority) ([]byte, error){
		func(a *Authority) ([]byte, error) { return a.Prepared(AccountKeys) },
		func(a *Authority) ([]byte, error) { return a.Promoted(AccountKeys, time.Now(), time.Now()) },
		func(a *Authority) ([]byte, error) { return a.Dropped(AccountKeys, time.Now()) },
		func(a *Authority) ([]byte, error) { return a.Prepared(OperatorKeys) },
		func(a *Authority) ([]byte, error) { return a.Promoted(OperatorKeys, time.Now(), time.Now()) },
	} {
		doc, err := next(states[len(states)-1])
		states = append(states, step(t, dir, doc, err))
	}
	for i, older := range states {
		for j, newer := range states {
			held, err := newer.coreAccount()
			if err != nil {
				t.Fatal(err)
			}
			// Of an operator's key that it never heard of a server believes nothing.
			want := i <= j && (j < 5 || i >= 4)
			if got := older.stands(held, older.form("CORE"), false); got != want {
				t.Errorf("what was signed after step %d stands for a server after step %d: %v", j, i, got)
			}
		}
	}
}

func TestSigningKeysThatAreDamagedAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	a, err := CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	good, err := a.Prepared(AccountKeys)
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string]string{
		"empty": "", "cut": string(good[:40]), "of a newer form": strings.Replace(string(good), `"format": 1`, `"format": 2`, 1),
		"an unknown field":    strings.Replace(string(good), `"serial"`, `"more": 1, "serial"`, 1),
		"no serial":           strings.Replace(string(good), `"serial": 1`, `"serial": 0`, 1),
		"a seed that is none": strings.Replace(string(good), `"next": "SA`, `"next": "SU`, 1),
	} {
		if err := a.Use([]byte(doc)); !errors.Is(err, ErrSigners) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := bytes.Clone(good)
	if err := a.Use(text); err != nil || strings.Trim(string(text), "\x00") != "" {
		t.Errorf("the document is not cleared: %v", err)
	}
}
