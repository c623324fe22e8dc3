package agent

import (
	"errors"
	"fmt"
	"log/slog"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// failure is the end of a job that cannot be done. The code goes to the control plane;
// the error stays in the agent's own log.
type failure struct {
	code events.FailureCode
	err  error

	// notWritten says of a patch that nothing of this attempt is at the provider.
	notWritten bool
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.code, f.err) }
func (f *failure) Unwrap() error { return f.err }

// level is how much an operator of this host should care: a requester may well ask for
// what is not there.
func (f *failure) level() slog.Level {
	switch f.code {
	case events.FailureInternal, events.FailureTicketRefused, events.FailureSignIn, events.FailureFingerprintKey:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// causes maps errors to what requesters are told. The first that matches counts.
var causes = []struct {
	err  error
	code events.FailureCode
}{
	{ErrUnknownConnection, events.FailureUnknownConnection},
	{ErrInvalidRef, events.FailureInvalidRef},
	{ErrOutsideAllowList, events.FailureOutsideAllowList},
	{ErrNotFound, events.FailureSecretNotFound},
	{ErrForbidden, events.FailureForbidden},
	{ErrNotBundle, events.FailureNotABundle},
	{ErrTooLarge, events.FailureTooLarge},
	{ErrSignIn, events.FailureSignIn},
	{ErrUnavailable, events.FailureProviderUnavailable},
	{ErrCursor, events.FailureProviderUnavailable}, // a list that was begun anew and broke again
	{seal.ErrTooLarge, events.FailureTooLarge},
	{seal.ErrSignature, events.FailureTicketRefused}, // a data key that somebody else sealed
	{seal.ErrExpired, events.FailureTicketRefused},   // or one that this clock takes for old
}

// failureOf says why a job cannot be done. What is in no table is a defect of the
// agent, or of the store: [ErrCorrupt].
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return &failure{code: c.code, err: err}
		}
	}
	switch refusedWith(err) {
	case "keys_invalid":
		return &failure{code: events.FailureNotABundle, err: err} // a key that no request can name
	case "scan_too_large":
		return &failure{code: events.FailureListTooLarge, err: err}
	}
	return &failure{code: events.FailureInternal, err: err}
}
