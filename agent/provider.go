// Package agent does the work of requests inside the network of the providers it
// serves: it asks a [Provider] for a [Bundle] and hands over what was asked for.
package agent

import (
	"context"
	"errors"
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

	// Check asks the provider whether it is reachable and accepts the agent.
	Check(ctx context.Context) error

	// Close ends what the provider runs and forgets its credentials. Calls that are
	// under way may fail.
	Close() error
}
