package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent"
)

// maxNames bounds the answer with the names of one folder, which Vault gives in one piece:
// 8 MiB are 100,000 names of 80 bytes. The agent holds two or three times as much while it
// reads it.
const maxNames = 8 << 20

// tooManyNamesError says what to do about a folder above [maxNames].
type tooManyNamesError struct{}

func (*tooManyNamesError) Error() string {
	return fmt.Sprintf("its names take more than %d bytes: split the folder, or open others in its place in the allow-list", maxNames)
}

func (*tooManyNamesError) Unwrap() error { return agent.ErrTooLarge }

// walk visits what the mount's allow-list opens and comes after a path.
func (l *lister) walk(ctx context.Context, m mount, after string) error {
	w := walk{lister: l, mount: m, after: after}
	for _, b := range m.allow.Beginnings() {
		if b.Exact {
			if w.passed(b.Text) {
				continue
			}
			if err := l.add(ctx, place{mount: m, path: b.Text, guess: true}); err != nil {
				return err
			}
			continue
		}
		if b.Text <= after && !strings.HasPrefix(after, b.Text) {
			continue
		}
		end := strings.LastIndexByte(b.Text, '/') + 1
		if err := w.folder(ctx, b.Text[:end], b.Text[end:]); err != nil {
			return err
		}
	}
	return nil
}

// walk is under way in one mount.
type walk struct {
	*lister
	mount mount
	after string // the last path that was listed before; "" for none
}

// passed reports whether a path, or all that is in a folder, was listed before.
func (w walk) passed(path string) bool {
	return path <= w.after && !(strings.HasSuffix(path, "/") && strings.HasPrefix(w.after, path))
}

// folder visits what begins with begin in a folder: "" or a path with a slash at its end.
// Names that no ref can spell are counted and left alone, a folder of that kind as one:
// Vault's library would take ".." for the folder above. So it goes down 256 levels at most.
func (w walk) folder(ctx context.Context, folder, begin string) error {
	names, err := w.p.names(ctx, w.mount, folder)
	switch {
	case errors.Is(err, errNoEngine), errors.Is(err, agent.ErrForbidden):
		return w.count(ctx, &w.page.Unlisted)
	case errors.Is(err, agent.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("folder %q of mount %q: %w", folder, w.mount.path, err)
	}
	for _, name := range names {
		path := folder + name
		if !strings.HasPrefix(name, begin) || w.passed(path) {
			continue
		}
		_, unspelt := agent.ParseRef(w.mount.path.String() + "/" + strings.TrimSuffix(path, "/"))
		switch {
		case unspelt != nil:
			err = w.count(ctx, &w.page.Skipped)
		case strings.HasSuffix(name, "/"):
			err = w.folder(ctx, path, "")
		default:
			err = w.add(ctx, place{mount: w.mount, path: path})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names returns the names in a folder in ascending order; those of folders end in "/".
func (p *Provider) names(ctx context.Context, m mount, folder string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.lists.Logical().ReadRawWithDataWithContext(ctx, m.path.String()+"/metadata/"+folder, url.Values{"list": {"true"}})
	})
	var tooLong *tooLongError
	switch {
	case errors.As(err, &tooLong):
		return nil, &tooManyNamesError{}
	case err != nil:
		return nil, err
	}
	var list struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil || list.Data.Keys == nil {
		return nil, fmt.Errorf("%w: the answer is not Vault's", agent.ErrUnavailable)
	}
	names := list.Data.Keys
	for _, name := range names {
		if i := strings.IndexByte(name, '/'); name == "" || i >= 0 && i < len(name)-1 {
			return nil, fmt.Errorf("%w: the answer holds what is no name", agent.ErrUnavailable)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
