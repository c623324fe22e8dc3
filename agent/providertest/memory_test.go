package providertest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
)

func TestMemoryConforms(t *testing.T) {
	allow, err := agent.ParseAllowList("suite")
	if err != nil {
		t.Fatal(err)
	}
	providertest.Run(t, providertest.Harness{
		New:    func(*testing.T) agent.Provider { return &providertest.Memory{Allow: allow} },
		Prefix: "suite",
	})
}

func TestMemoryFailsAsItIsTold(t *testing.T) {
	ref, err := agent.ParseRef("a")
	if err != nil {
		t.Fatal(err)
	}
	b := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte("v"))}}
	m := providertest.NewMemory()
	m.Hook = func(c providertest.Call) providertest.Fault {
		if c.Op == "write" {
			return providertest.Fault{Err: agent.ErrUnavailable, Stored: c.N == 2}
		}
		return providertest.Fault{}
	}
	if _, err := m.Write(t.Context(), ref, b, ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("first write: %v", err)
	}
	if _, err := m.Read(t.Context(), ref); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a write that failed was stored: %v", err)
	}
	if version, err := m.Write(t.Context(), ref, b, ""); !errors.Is(err, agent.ErrUnavailable) || version != "" {
		t.Errorf("second write: %q, %v", version, err)
	}
	if _, err := m.Read(t.Context(), ref); err != nil {
		t.Errorf("a write whose answer was lost is not there: %v", err)
	}
	if m.Calls("write") != 2 || m.Calls("read") != 2 {
		t.Errorf("calls: %d writes, %d reads", m.Calls("write"), m.Calls("read"))
	}
}

func TestMemoryBlocksUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := providertest.NewMemory()
		m.Hook = func(providertest.Call) providertest.Fault { return providertest.Fault{Block: release} }
		done := make(chan error, 2)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- m.Check(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a blocked call whose context ended: %v", err)
		}
		go func() { done <- m.Check(t.Context()) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("a blocked call came back")
		}
		close(release)
		if err := <-done; err != nil {
			t.Errorf("a released call: %v", err)
		}
	})
}

func TestMemoryChecksItsCallers(t *testing.T) {
	m := providertest.NewMemory()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a call after Close did not panic")
		}
	}()
	_ = m.Check(t.Context())
}
