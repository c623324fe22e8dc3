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

// defaultWindow is how many names a pass over the directory keeps: 16 pages. A store of n secrets
// is passed over n/4000 times, which for 20,000 is little beside opening their files.
const defaultWindow = 16 * agent.MaxPage

// nameDigits is how long the name of a secret's folder is; see [identity.name].
const nameDigits = 32

// List implements [agent.Provider]. The order is that of the names of the folders, which
// tell nothing; a cursor is the last of them.
//
// A secret whose description is damaged, or that the agent may not read, is counted as
// unlisted: it is there, and nobody can say which it is.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		if err := p.list(ctx, string(from), func(page agent.Page) bool { return yield(page, nil) }); err != nil {
			yield(agent.Page{}, fmt.Errorf("list the file store in %s: %w", p.dir, err))
		}
	}
}

func (p *Provider) list(ctx context.Context, after string, yield func(agent.Page) bool) error {
	if after != "" && !isName(after) {
		return agent.ErrCursor
	}
	for {
		names, err := p.folders(after)
		if err != nil {
			return err
		}
		more := len(names) > p.window
		names = names[:min(len(names), p.window)]
		for {
			n := min(len(names), agent.MaxPage)
			var page agent.Page
			var err error
			erase.Do(func() { page, err = p.page(ctx, names[:n]) }) // a file that describes a secret may hold its values, too
			if err != nil {
				return err
			}
			if n < len(names) || more {
				after = names[n-1]
				page.Next = agent.Cursor(after)
			}
			if !yield(page) || page.Next == "" {
				return nil
			}
			if names = names[n:]; len(names) == 0 {
				break
			}
		}
	}
}

// folders returns the names that follow after, ascending: the first of them, and one more
// than the window if there are as many.
func (p *Provider) folders(after string) ([]string, error) {
	dir, err := os.Open(filepath.Join(p.dir, secretsDir))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	defer dir.Close()
	most := p.window + 1
	kept, full := make([]string, 0, 2*most), false // full: kept[most-1] is the largest that matters
	for {
		some, err := dir.Readdirnames(1024)
		for _, name := range some {
			if name <= after || full && name > kept[most-1] || !isName(name) {
				continue
			}
			if kept = append(kept, name); len(kept) == cap(kept) {
				slices.Sort(kept)
				clear(kept[most:])
				kept, full = kept[:most], true
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
		}
	}
	slices.Sort(kept)
	return kept[:min(len(kept), most)], nil
}

// isName reports whether a folder may be that of a secret. Others, such as those that a
// file system or a desktop makes, are none of the store's.
func isName(text string) bool {
	return len(text) == nameDigits && strings.Trim(text, "0123456789abcdef") == ""
}

func (p *Provider) page(ctx context.Context, names []string) (page agent.Page, err error) {
	for _, name := range names {
		if err := p.usable(ctx); err != nil {
			return page, err
		}
		d, err := p.describeFolder(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // a writer crashed before its first version
		case errors.Is(err, agent.ErrCorrupt), errors.Is(err, fs.ErrPermission):
			page.Unlisted++
			continue
		case err != nil:
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
