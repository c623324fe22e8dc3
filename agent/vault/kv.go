package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent"
)

// What custom metadata may hold: Vault's documentation, KV version 2 API, "Create/update
// metadata". Checked here because Vault would refuse only after the values are stored.
const (
	maxLabels     = 64
	maxLabelName  = 128
	maxLabelValue = 512
)

// answer is the body of a read of KV version 2. Raw parts keep the exact text: the
// library would decode numbers and forget their form.
type answer struct {
	Data struct {
		Data     json.RawMessage `json:"data"`
		Metadata struct {
			Version        int               `json:"version"`
			CreatedTime    time.Time         `json:"created_time"`
			DeletionTime   string            `json:"deletion_time"`
			Destroyed      bool              `json:"destroyed"`
			CustomMetadata map[string]string `json:"custom_metadata"`
		} `json:"metadata"`
	} `json:"data"`
}

// Read implements [agent.Provider]. Vault does not say with a read when the secret was
// first created, so CreatedAt stays zero.
func (p *Provider) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := p.read(ctx, ref)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return b, nil
}

func (p *Provider) read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	mount, path, err := p.locate(ref)
	if err != nil {
		return agent.Bundle{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.client.Logical().ReadRawWithContext(ctx, mount+"/data/"+path)
	})
	defer clear(body)
	if err != nil {
		return agent.Bundle{}, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return agent.Bundle{}, fmt.Errorf("%w: the answer is not Vault's", agent.ErrUnavailable)
	}
	defer clear(a.Data.Data)
	if len(a.Data.Data) == 0 || bytes.Equal(a.Data.Data, []byte("null")) {
		return agent.Bundle{}, fmt.Errorf("%w: its last version was deleted", agent.ErrNotFound)
	}
	if a.Data.Metadata.Version < 1 {
		return agent.Bundle{}, fmt.Errorf("%w: mount %q is no KV version 2 engine", agent.ErrNotBundle, mount)
	}
	b, err := agent.ParseBundle(a.Data.Data)
	if err != nil {
		return agent.Bundle{}, err
	}
	b.Version = agent.Version(strconv.Itoa(a.Data.Metadata.Version))
	b.Labels = a.Data.Metadata.CustomMetadata
	b.UpdatedAt = a.Data.Metadata.CreatedTime.UTC()
	return b, nil
}

// Write implements [agent.Provider]. Labels are Vault's custom metadata and go in a
// second request.
func (p *Provider) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	version, err := p.write(ctx, ref, b, expect)
	if err != nil {
		return version, fmt.Errorf("write %s: %w", ref, err)
	}
	return version, nil
}

func (p *Provider) write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	mount, path, err := p.locate(ref)
	if err != nil {
		return "", err
	}
	if err := checkLabels(b.Labels); err != nil {
		return "", err
	}
	if err := checkNumbers(b); err != nil {
		return "", err
	}
	values, err := b.JSON()
	if err != nil {
		return "", err
	}
	defer clear(values)
	cas := 0
	if expect != "" {
		// Only Vault's own spelling of a number can be a version it gave.
		if cas, err = strconv.Atoi(string(expect)); err != nil || cas < 1 || strconv.Itoa(cas) != string(expect) {
			return "", agent.ErrConflict
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	version, err := p.put(ctx, mount, path, values, cas)
	if errors.Is(err, agent.ErrConflict) && expect == "" {
		// A deleted secret is not there for a reader, but Vault goes on counting.
		if last, deleted := p.deletedAt(ctx, mount, path); deleted {
			version, err = p.put(ctx, mount, path, values, last)
		}
	}
	if err != nil || b.Labels == nil {
		return version, err
	}
	if err := p.putLabels(ctx, mount, path, b.Labels); err != nil {
		return version, fmt.Errorf("the values are stored as version %s, the labels are not: %w", version, err)
	}
	return version, nil
}

// put stores values as the version after cas.
func (p *Provider) put(ctx context.Context, mount, path string, values []byte, cas int) (agent.Version, error) {
	body := make([]byte, 0, len(values)+64)
	body = fmt.Appendf(body, `{"options":{"cas":%d},"data":`, cas)
	body = append(append(body, values...), '}')
	defer clear(body)
	answered, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.client.Logical().WriteRawWithContext(ctx, mount+"/data/"+path, body)
	})
	if err != nil {
		return "", err
	}
	var stored struct {
		Data struct {
			Version int `json:"version"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answered, &stored); err != nil || stored.Data.Version < 1 {
		return "", fmt.Errorf("%w: the answer is not that of a KV version 2 engine", agent.ErrUnavailable)
	}
	return agent.Version(strconv.Itoa(stored.Data.Version)), nil
}

// deletedAt returns the last version of a secret, if that version was deleted or
// destroyed. Vault says so in the body of a 404.
func (p *Provider) deletedAt(ctx context.Context, mount, path string) (version int, deleted bool) {
	_, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.client.Logical().ReadRawWithContext(ctx, mount+"/data/"+path)
	})
	var answered *statusError
	if !errors.As(err, &answered) || answered.status != http.StatusNotFound {
		return 0, false
	}
	var a answer
	if err := json.Unmarshal(answered.body, &a); err != nil {
		return 0, false
	}
	m := a.Data.Metadata
	return m.Version, m.Version > 0 && (m.DeletionTime != "" || m.Destroyed)
}

func (p *Provider) putLabels(ctx context.Context, mount, path string, labels map[string]string) error {
	body, err := json.Marshal(map[string]any{"custom_metadata": labels})
	if err != nil {
		return fmt.Errorf("%w: encode the labels", agent.ErrNotBundle)
	}
	_, err = p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.client.Logical().WriteRawWithContext(ctx, mount+"/metadata/"+path, body)
	})
	return err
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%w: more than %d labels", agent.ErrTooLarge, maxLabels)
	}
	for name, value := range labels {
		switch {
		case name == "" || value == "":
			return fmt.Errorf("%w: Vault takes no empty label", agent.ErrNotBundle)
		case len(name) > maxLabelName || len(value) > maxLabelValue:
			return fmt.Errorf("%w: a label has more than %d bytes in its name or %d in its value", agent.ErrTooLarge, maxLabelName, maxLabelValue)
		case strings.ContainsFunc(name+value, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
			return fmt.Errorf("%w: a label has characters that do not print", agent.ErrNotBundle)
		}
	}
	return nil
}
