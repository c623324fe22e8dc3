// Package agent does the work of requests inside the network of the providers it
// serves: it asks a [Provider] for a [Bundle] and hands over what was asked for.
package agent

import (
	"context"
	"errors"
	"iter"

	"secretsbridge/events"
)

// What a provider may answer. Each error of a [Provider] wraps exactly one of these
// or [ErrInvalidRef], says what was being done, and never holds a value, a token or a
// key. Where the context ended, the error also wraps the context's.
var (
	// ErrNotFound: there is no such secret, or its last version was deleted.
	ErrNotFound = errors.New("no such secret")

	// ErrForbidden: the provider knows the agent and refuses it this secret.
	ErrForbidden = errors.New("the provider refuses access")

	// ErrOutsideAllowList: the agent's own configuration does not open this ref. The
	// provider was not asked.
	ErrOutsideAllowList = errors.New("outside the agent's allow-list")

	// ErrNotBundle: what is stored, or was to be written, is no set of keys and values.
	ErrNotBundle = errors.New("not a bundle of keys and values")

	// ErrConflict: the secret is not at the version that the writer expected.
	ErrConflict = errors.New("the secret has another version")

	// ErrTooLarge: the bundle is larger than [MaxBundleBytes] or than the provider takes.
	ErrTooLarge = errors.New("the bundle is too large")

	// ErrUnavailable: the provider could not be asked, or was busy, sealed or failing.
	// The same call may succeed later. After a Write the outcome is unknown: read the
	// secret again before anything else.
	ErrUnavailable = errors.New("the provider is unavailable")

	// ErrSignIn: the provider does not accept the agent's credentials, and asking
	// again cannot help. An operator must give new ones.
	ErrSignIn = errors.New("the provider does not accept the agent's credentials")

	// ErrCorrupt: what is stored fails its own checks. Nothing of it is returned.
	ErrCorrupt = errors.New("the stored secret is damaged")

	// ErrCursor: the list does not go on from there, or not any more. It begins anew.
	ErrCursor = errors.New("the list does not go on from this cursor")
)

// Version names one state of a secret, in the words of its provider. Versions are
// compared for equality only. The empty Version is that of a secret that is not there.
type Version string

// Provider is a place that owns secret values. Address and credentials come from the
// agent's own configuration, never from a request. A provider refuses refs outside
// its allow-list before it asks anybody. All methods may be called at the same time.
type Provider interface {
	// Read returns the current version of a secret. The caller owns the bundle and
	// ends its life with [Bundle.Zero].
	Read(ctx context.Context, ref Ref) (Bundle, error)

	// Write stores b as the next version if the current one is expect, and answers
	// [ErrConflict] if it is not; expect "" means that there must be no such secret.
	// The bundle's Labels replace those stored, nil Labels leave them alone; its
	// Version and times are ignored. The caller keeps b and its values.
	//
	// A provider that cannot keep an entry exactly as it is, such as a number of many
	// digits, answers [ErrNotBundle] and stores nothing.
	//
	// Where a provider cannot store values and labels at once, the values go first: an
	// error that comes with a version says that the values are stored and the labels
	// are not.
	Write(ctx context.Context, ref Ref, b Bundle, expect Version) (Version, error)

	// List yields what the allow-list opens of the provider's secrets, page after page,
	// without any value: from its beginning with the empty cursor, or from the cursor of
	// a page that was yielded before, also by another process. It reads ahead of its
	// caller by one page at most and keeps nothing that grows with the list. A secret that
	// comes or goes meanwhile may be listed or not; every other is listed once. The first
	// error ends it.
	//
	// Where the provider does not open a part of what the allow-list opens, the list goes
	// on without it and says so ([Page.Unlisted]).
	List(ctx context.Context, from Cursor) iter.Seq2[Page, error]

	// Check asks the provider whether it is reachable and accepts the agent.
	Check(ctx context.Context) error

	// Close ends what the provider runs and forgets its credentials. Calls that are
	// under way may fail.
	Close() error
}

// Cursor is a place in a provider's list, in the provider's own words: at most
// [events.MaxCursor] bytes of printable ASCII, and no secret. The empty one is the beginning.
type Cursor string

// MaxPage is how many secrets a page has at most.
const MaxPage = 250

// Page is a part of a provider's list.
type Page struct {
	// Secrets are in no promised order. Times are in UTC. Version is that of the bundle
	// that Read would return, where the provider tells it without showing the value; it is
	// empty where it does not, or where the secret has no version that could be read.
	Secrets []events.SecretMetadata

	// Skipped counts secrets that are there and not in Secrets: no ref can spell their name.
	Skipped int

	// Unlisted counts what is there and cannot be told: folders and the like that the provider
	// does not let the agent list, and secrets whose labels are beyond the limits of
	// [events.ValidLabels].
	Unlisted int

	// Next is where the list goes on; empty on the last page.
	Next Cursor
}

// Add takes a secret into the page if the allow-list opens it. One that no page can hold
// is counted; whoever is not allowed to see it does not learn that it is there.
func (p *Page) Add(allow AllowList, secret events.SecretMetadata) {
	ref, err := ParseRef(secret.Ref)
	switch {
	case err != nil:
		if allow.Opens(secret.Ref) {
			p.Skipped++
		}
	case !allow.Allows(ref):
	case !events.ValidLabels(secret.Labels):
		p.Unlisted++ // it may have been listed before, so it must not look gone
	default:
		secret.Created, secret.Updated = secret.Created.UTC(), secret.Updated.UTC()
		p.Secrets = append(p.Secrets, secret)
	}
}
