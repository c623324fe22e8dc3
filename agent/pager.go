package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"secretsbridge/events"
)

// pageRoom is how many bytes of JSON the secrets of a page take at most. The rest of
// [events.MaxPageBytes] is for what stands around them: a few hundred bytes, and a cursor
// of which JSON may write each byte as six.
const pageRoom = events.MaxPageBytes - 1<<10 - 6*events.MaxCursor

// pageAge is how long a page waits to be full. What is sent survives a crash, and the
// answer says whether the job was called off.
const pageAge = 30 * time.Second

// pager makes pages for the control plane of pages of a provider, which are of other
// sizes. It belongs to one goroutine and holds one page.
//
// The cursor of a page is that of the last provider's page that is wholly in it or before
// it: to go on from there repeats secrets and leaves none out. After the provider's last
// page, which has no cursor, it stays the one before: an attempt that begins between the
// last page and the end of the job reads one page again, and not all of them.
type pager[T any] struct {
	send   func(ctx context.Context, number int, page sheet[T]) (events.PageTaken, error)
	number int // of the next page
	sheet  sheet[T]
	refs   map[string]bool // of the sheet's secrets
	bytes  int             // of JSON that they take
	since  time.Time       // when something came into it; zero before
}

// sheet is what pages of all kinds have.
type sheet[T any] struct {
	secrets           []T
	skipped, unlisted int
	cursor            string
}

func newPager[T any](grant events.JobGrant, send func(context.Context, int, sheet[T]) (events.PageTaken, error)) *pager[T] {
	return &pager[T]{send: send, number: grant.Page, sheet: sheet[T]{cursor: grant.Cursor}, refs: map[string]bool{}}
}

// add takes a secret in, and sends the page before if that is full. A secret that is in
// the page already is dropped. One that no page can hold is counted, and like one that
// cannot be described: it is there, so it must not look gone ([Page.Add]).
func (p *pager[T]) add(ctx context.Context, ref string, secret T) error {
	if p.refs[ref] {
		return nil
	}
	text, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("encode what is said of a secret: %w", err)
	}
	size := len(text) + len(",")
	if size > pageRoom {
		p.sheet.unlisted++
		return p.age(ctx)
	}
	if len(p.sheet.secrets) == events.MaxPageSecrets || p.bytes+size > pageRoom {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.sheet.secrets, p.bytes = append(p.sheet.secrets, secret), p.bytes+size
	p.refs[ref] = true
	return p.age(ctx)
}

// skip counts a secret that is not in the pages.
func (p *pager[T]) skip(ctx context.Context) error {
	p.sheet.skipped++
	return p.age(ctx)
}

// turn says that all secrets of a provider's page were added.
func (p *pager[T]) turn(ctx context.Context, page Page) error {
	p.sheet.skipped += page.Skipped
	p.sheet.unlisted += page.Unlisted
	if page.Next != "" {
		p.sheet.cursor = string(page.Next)
	}
	return p.age(ctx)
}

// age sends a page that has waited for long.
func (p *pager[T]) age(ctx context.Context) error {
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if time.Since(p.since) < pageAge {
		return nil
	}
	return p.post(ctx)
}

// flush sends what there is, if that is anything but a cursor.
func (p *pager[T]) flush(ctx context.Context) error {
	if len(p.sheet.secrets) == 0 && p.sheet.skipped == 0 && p.sheet.unlisted == 0 {
		return nil
	}
	return p.post(ctx)
}

func (p *pager[T]) post(ctx context.Context) error {
	taken, err := p.send(ctx, p.number, p.sheet)
	if err != nil {
		return err
	}
	if taken.Next != p.number+1 {
		return fmt.Errorf("page %d was taken, and the next one is %d", p.number, taken.Next)
	}
	p.number = taken.Next
	clear(p.sheet.secrets)
	p.sheet = sheet[T]{secrets: p.sheet.secrets[:0], cursor: p.sheet.cursor}
	clear(p.refs)
	p.bytes, p.since = 0, time.Time{}
	return nil
}

// sent is how many pages there were, those of earlier attempts included.
func (p *pager[T]) sent() int { return p.number - 1 }
