package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"secretsbridge/agent"
)

// List implements [agent.Provider]. It walks each mount in the order of the configuration,
// each folder in the order of the names' bytes, and reads the metadata of each secret. It
// holds the names of one folder for each level of where it is.
//
// A secret whose current version was deleted or destroyed is not there for Read, and is
// not listed. One whose metadata Vault refuses, or whose metadata is beyond all bounds, is
// listed by its name alone. A folder or a mount that Vault does not list, a mount that is
// not there, and a secret that the allow-list names and whose metadata is refused (so
// that nobody knows whether it is there) count as unlisted.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return func(yield func(agent.Page, error) bool) {
		l := lister{p: p, yield: yield}
		if err := l.list(ctx, from); err != nil && !errors.Is(err, errEnough) {
			yield(agent.Page{}, fmt.Errorf("list vault: %w", err))
		}
	}
}

// errEnough says that the caller wants no more pages.
var errEnough = errors.New("enough")

// lister makes the pages of one list. The walk hands it places in ascending order.
type lister struct {
	p     *Provider
	yield func(agent.Page, error) bool
	page  agent.Page // its counts; its secrets are those of places
	found []place    // at most [agent.MaxPage]
}

// place is where a secret is, or may be.
type place struct {
	mount mount
	path  string // below the mount

	// guess says that no folder named it, the allow-list did.
	guess bool
}

func (l *lister) list(ctx context.Context, from agent.Cursor) error {
	mounts, after := l.p.mounts, ""
	if from != "" {
		at, path, err := parseCursor(from)
		if err != nil {
			return err
		}
		first := slices.IndexFunc(mounts, func(m mount) bool { return m.path.String() == at })
		if first < 0 {
			return fmt.Errorf("%w: its mount is not configured any more", agent.ErrCursor)
		}
		mounts, after = mounts[first:], path
	}
	for _, m := range mounts {
		if err := l.walk(ctx, m, after); err != nil {
			return err
		}
		after = ""
	}
	return l.flush(ctx, "")
}

// add takes a place into the page. A full page goes first.
func (l *lister) add(ctx context.Context, at place) error {
	if err := l.makeRoom(ctx); err != nil {
		return err
	}
	l.found = append(l.found, at)
	return nil
}

// count counts what is no place in the page, which goes first if it is full: what comes
// after its cursor is not its own.
func (l *lister) count(ctx context.Context, what *int) error {
	if err := l.makeRoom(ctx); err != nil {
		return err
	}
	*what++
	return nil
}

func (l *lister) makeRoom(ctx context.Context) error {
	if len(l.found) < agent.MaxPage {
		return nil
	}
	return l.flush(ctx, cursorAfter(l.found[len(l.found)-1]))
}

// flush reads the metadata of what was found and yields the page.
func (l *lister) flush(ctx context.Context, next agent.Cursor) error {
	secrets, err := l.p.describe(ctx, l.found)
	if err != nil {
		return err
	}
	page := l.page
	page.Next = next
	for _, s := range secrets {
		switch s.presence {
		case present:
			page.Add(anything, s.SecretMetadata)
		case unknown:
			page.Unlisted++
		}
	}
	l.page, l.found = agent.Page{}, l.found[:0]
	if !l.yield(page, nil) {
		return errEnough
	}
	return nil
}

// anything allows every ref. The walk keeps to each mount's own allow-list.
var anything = func() agent.AllowList {
	list, err := agent.ParseAllowList("*")
	if err != nil {
		panic(err)
	}
	return list
}()

// cursorAfter is mount and path of the last place of a page: at most 512 bytes and a
// separator, in base64.
func cursorAfter(at place) agent.Cursor {
	return agent.Cursor(base64.RawURLEncoding.EncodeToString([]byte(at.mount.path.String() + "\x00" + at.path)))
}

func parseCursor(from agent.Cursor) (mount, path string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(string(from))
	if err != nil {
		return "", "", agent.ErrCursor
	}
	mount, path, ok := strings.Cut(string(text), "\x00")
	if !ok {
		return "", "", agent.ErrCursor
	}
	return mount, path, nil
}
