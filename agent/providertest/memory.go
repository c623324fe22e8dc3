package providertest

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// Call is one call of a [Memory], for its hook to look at.
type Call struct {
	Op  string // "read", "write", "list" (a page) or "check"
	Ref agent.Ref
	N   int // how many calls of this Op there were, this one included
}

// Fault is what a hook makes of a call.
type Fault struct {
	// Err is returned instead of the result. It should wrap one of the port's errors.
	Err error

	// Stored lets a write take effect although Err is returned: the answer was lost.
	Stored bool

	// Block holds the call back until the channel is closed or the context ends.
	Block <-chan struct{}
}

// Memory is an [agent.Provider] in memory. It checks its callers: a ref that was not
// parsed, a nil context, a bundle that no JSON object can carry, or a call after
// Close panics, because each is a fault in the program under test.
type Memory struct {
	// Allow is the allow-list, as an agent's configuration would hold it.
	Allow agent.AllowList

	// PageSize is how many secrets a page of List has; 0 means [agent.MaxPage]. Unlisted
	// is what each page says of itself.
	PageSize, Unlisted int

	// Hook, if set, is asked before each call. Calls run at the same time, so does Hook.
	Hook func(Call) Fault

	mu      sync.Mutex // guards what follows
	calls   map[string]int
	secrets map[agent.Ref]*memorySecret
	closed  bool
}

// memorySecret holds its values as plain text: it is a test's, and it must not share
// bytes with bundles that callers zero.
type memorySecret struct {
	version   int
	entries   map[string]memoryEntry
	labels    map[string]string
	createdAt time.Time
	updatedAt time.Time
}

type memoryEntry struct {
	kind agent.Kind
	text string
}

var _ agent.Provider = (*Memory)(nil)

// NewMemory returns an empty provider that allows every ref.
func NewMemory() *Memory {
	all, err := agent.ParseAllowList("*")
	if err != nil {
		panic(err)
	}
	return &Memory{Allow: all}
}

// Read implements [agent.Provider].
func (m *Memory) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	if err := m.enter(ctx, "read", ref); err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	fault, err := m.fault(ctx, "read", ref)
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, ok := m.secrets[ref]
	if !ok {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, agent.ErrNotFound)
	}
	b := agent.Bundle{
		Entries:   make(map[string]agent.Entry, len(stored.entries)),
		Version:   agent.Version(strconv.Itoa(stored.version)),
		Labels:    maps.Clone(stored.labels),
		CreatedAt: stored.createdAt,
		UpdatedAt: stored.updatedAt,
	}
	for key, entry := range stored.entries {
		b.Entries[key] = agent.Entry{Kind: entry.kind, Value: secret.New([]byte(entry.text))}
	}
	return b, nil
}

// Write implements [agent.Provider].
func (m *Memory) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	if err := m.enter(ctx, "write", ref); err != nil {
		return "", fmt.Errorf("write %s: %w", ref, err)
	}
	text, err := b.JSON()
	if err != nil {
		return "", fmt.Errorf("write %s: %w", ref, err)
	}
	clear(text)
	fault, err := m.fault(ctx, "write", ref)
	switch {
	case err != nil:
		return "", fmt.Errorf("write %s: %w", ref, err)
	case fault.Err != nil && !fault.Stored:
		return "", fmt.Errorf("write %s: %w", ref, fault.Err)
	}
	version, err := m.store(ref, b, expect)
	if fault.Err != nil {
		version, err = "", fault.Err
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", ref, err)
	}
	return version, nil
}

func (m *Memory) store(ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UTC()
	stored := m.secrets[ref]
	if stored == nil {
		stored = &memorySecret{createdAt: now}
	}
	if expect != memoryVersion(stored.version) {
		return "", agent.ErrConflict
	}
	next := *stored
	next.version++
	next.updatedAt = now
	next.entries = make(map[string]memoryEntry, len(b.Entries))
	for key, entry := range b.Entries {
		next.entries[key] = memoryEntry{kind: entry.Kind, text: strings.Clone(string(entry.Value.Expose()))}
	}
	if b.Labels != nil {
		next.labels = maps.Clone(b.Labels)
	}
	if m.secrets == nil {
		m.secrets = map[agent.Ref]*memorySecret{}
	}
	m.secrets[ref] = &next
	return memoryVersion(next.version), nil
}

func memoryVersion(n int) agent.Version {
	if n == 0 {
		return ""
	}
	return agent.Version(strconv.Itoa(n))
}

// List implements [agent.Provider]. A page has [Memory.PageSize] secrets, in the order of
// their refs; the cursor is the last ref, in hexadecimal.
func (m *Memory) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return agent.Pages("list", from, func(from agent.Cursor) (agent.Page, error) { return m.page(ctx, from) })
}

func (m *Memory) page(ctx context.Context, from agent.Cursor) (agent.Page, error) {
	fault, err := m.fault(ctx, "list", agent.Ref{})
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		return agent.Page{}, err
	}
	after, err := hex.DecodeString(string(from))
	if err != nil {
		return agent.Page{}, agent.ErrCursor
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []string
	for ref := range m.secrets {
		if ref.String() > string(after) {
			refs = append(refs, ref.String())
		}
	}
	slices.Sort(refs)
	page := agent.Page{Unlisted: m.Unlisted}
	if size := cmp.Or(m.PageSize, agent.MaxPage); len(refs) > size {
		refs = refs[:size]
		page.Next = agent.Cursor(hex.EncodeToString([]byte(refs[size-1])))
	}
	for _, text := range refs {
		ref, err := agent.ParseRef(text)
		if err != nil {
			panic("providertest: a ref that ParseRef did not make is stored")
		}
		stored := m.secrets[ref]
		page.Add(m.Allow, events.SecretMetadata{
			Ref: text, Labels: maps.Clone(stored.labels), Version: string(memoryVersion(stored.version)), Created: stored.createdAt, Updated: stored.updatedAt,
		})
	}
	return page, nil
}

// Check implements [agent.Provider].
func (m *Memory) Check(ctx context.Context) error {
	fault, err := m.fault(ctx, "check", agent.Ref{})
	if err == nil {
		err = fault.Err
	}
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

// Close implements [agent.Provider].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Calls returns how many calls of op there were.
func (m *Memory) Calls(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

// enter checks the caller and refuses refs as a real provider does.
func (m *Memory) enter(ctx context.Context, op string, ref agent.Ref) error {
	if ctx == nil {
		panic("providertest: " + op + " with a nil context")
	}
	if parsed, err := agent.ParseRef(ref.String()); !ref.IsZero() && (err != nil || parsed != ref) {
		panic("providertest: " + op + " of a ref that ParseRef did not make")
	}
	return m.Allow.Check(ref)
}

// fault counts the call, asks the hook and holds the call back as it says.
func (m *Memory) fault(ctx context.Context, op string, ref agent.Ref) (Fault, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		panic("providertest: " + op + " after Close")
	}
	if m.calls == nil {
		m.calls = map[string]int{}
	}
	m.calls[op]++
	call := Call{Op: op, Ref: ref, N: m.calls[op]}
	m.mu.Unlock()

	var fault Fault
	if m.Hook != nil {
		fault = m.Hook(call)
	}
	if fault.Block != nil {
		select {
		case <-fault.Block:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return Fault{}, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	return fault, nil
}
