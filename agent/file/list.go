package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/internal/erase"
)

// List implements [agent.Provider]. The order is that of the names of the folders, which
// tell nothing; a cursor is the last of them. The names are held together: some 100 bytes
// a secret.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		if err := p.list(ctx, string(from), func(page agent.Page) bool { return yield(page, nil) }); err != nil {
			yield(agent.Page{}, fmt.Errorf("list the file store in %s: %w", p.dir, err))
		}
	}
}

func (p *Provider) list(ctx context.Context, after string, yield func(agent.Page) bool) error {
	if strings.Trim(after, "0123456789abcdef") != "" {
		return agent.ErrCursor
	}
	names, err := p.folders()
	if err != nil {
		return err
	}
	first, found := slices.BinarySearch(names, after)
	if found {
		first++
	}
	for names = names[first:]; ; {
		n := min(len(names), agent.MaxPage)
		var page agent.Page
		var err error
		erase.Do(func() { page, err = p.page(ctx, names[:n]) }) // a file that describes a secret holds its values, too
		if err != nil {
			return err
		}
		if n < len(names) {
			page.Next = agent.Cursor(names[n-1])
		}
		if !yield(page) || page.Next == "" {
			return nil
		}
		names = names[n:]
	}
}

// folders returns the names of the folders of secrets in ascending order.
func (p *Provider) folders() ([]string, error) {
	dir, err := os.Open(filepath.Join(p.dir, secretsDir))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	slices.Sort(names)
	return names, nil
}

func (p *Provider) page(ctx context.Context, names []string) (page agent.Page, err error) {
	for _, name := range names {
		switch {
		case ctx.Err() != nil:
			return page, fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
		case p.closed.Load():
			return page, fmt.Errorf("%w: the store is closed", agent.ErrUnavailable)
		}
		d, err := p.describeFolder(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a writer crashed before its first version
		}
		if err != nil {
			return page, err
		}
		page.Add(p.allow, events.SecretMetadata{
			Ref: d.Ref, Labels: d.Labels, Version: strconv.Itoa(d.Version), Created: d.CreatedAt, Updated: d.UpdatedAt,
		})
	}
	return page, nil
}

// describeFolder reads which secret a folder holds, and checks that it is its own.
func (p *Provider) describeFolder(name string) (description, error) {
	sealed, err := readBounded(filepath.Join(p.dir, secretsDir, name, currentFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return description{}, err
	case err != nil:
		return description{}, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	plain, err := p.identity.open(sealed)
	if err != nil {
		return description{}, fmt.Errorf("%w: %s: %w", agent.ErrCorrupt, currentFile, err)
	}
	var own struct {
		Ref string `json:"ref"`
	}
	if err := json.Unmarshal(plain, &own); err != nil {
		return description{}, fmt.Errorf("%w: its description is no JSON", agent.ErrCorrupt)
	}
	ref, err := agent.ParseRef(own.Ref)
	if err != nil || p.identity.name(ref) != name {
		return description{}, fmt.Errorf("%w: its description is that of another secret", agent.ErrCorrupt)
	}
	return describe(plain, ref)
}
