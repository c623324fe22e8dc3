package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/pflag"

	"secretsbridge/seal"
	"secretsbridge/web/api/client"
)

type flag = pflag.Flag

// Exit codes. They are a contract with scripts.
const (
	exitDone        = 0
	exitFault       = 1
	exitUsage       = 2 // also where only the server can tell
	exitNotSignedIn = 3
	exitRefused     = 4 // by the rules: trying again changes nothing
	exitNotFound    = 5
	exitUnavailable = 6  // trying again may help
	exitEnded       = 7  // what was watched ended otherwise than it was asked for
	exitStepUp      = 8  // a second factor has to be proved first
	exitDiffers     = 9  // what files say is not what counts
	exitUnproven    = 10 // what was verified is not what was signed
)

// failure is how a command ends badly: a sentence to act on and a stable code. Codes of
// the server's answers are the server's own; the rest are below.
type failure struct {
	exit int
	code string
	text string
	err  error
}

func (f *failure) Error() string { return f.text + " (" + f.code + ")" }

func (f *failure) Unwrap() error { return f.err }

// localCode is a code of this program's own, with what it means, for the reference.
type localCode struct {
	code string
	exit int
	says string
}

var localCodes = []localCode{
	{"usage", exitUsage, "flags or arguments are wrong, or the environment is"},
	{"key_needed", exitUsage, "several values are ready: choose with `--key`, or take `--all`"},
	{"not_signed_in", exitNotSignedIn, "there is no session for this server; also a code of the server's"},
	{"sign_in_ended", exitRefused, "a sign-in by the identity provider was refused in the browser, or nobody finished it"},
	{"token_file", exitFault, "the session's file cannot be used, or others may read it"},
	{"untrusted", exitFault, "the server's certificate is not accepted, or it speaks no TLS that is good enough"},
	{"server_key_changed", exitFault, "the server signs with another key than the one that it is known by: if `SB_SERVER_KEY` (or `--server-key`) says that one, get the new one from the operator; if it was kept at sign-in, ask the operator and sign in again"},
	{"altered", exitFault, "an answer is not signed by the server, or not to this call: something on the way changed one of them, or the server is older than this program; of a command it is not known whether it was done"},
	{"value_invalid", exitUsage, "a value is too long, no UTF-8 text, or no JSON; also a code of the server's"},
	{"request_ended", exitEnded, "the request that `--watch` followed ended without being executed: it failed, was rejected or cancelled, or expired"},
	{"job_ended", exitEnded, "the job that was followed was cancelled; one that failed has the code of its failure"},
	{"ownership_rules_moved", exitRefused, "the rules in the file are made from another version than the one in force; also a code of the server's"},
	{client.CodeStepUp, exitStepUp, "this needs a second factor, and there is no terminal to ask for a code: `sb step-up --code-stdin` takes one; also a code of the server's"},
	{"passkey_only", exitStepUp, "this needs a second factor, and a passkey, which needs a browser, is the only one"},
	{"person_unknown", exitNotFound, "nobody has that id, e-mail or name; also a code of the server's"},
	{"files_invalid", exitUsage, "files of the governance have mistakes, each of which is a line before"},
	{"differs", exitDiffers, "with `--dry-run`: files differ from what is in force; without: what they say waits for approval"},
	{"audit_bad_event", exitUnproven, "an event is not as the log had it when it was signed: changed, missing, added or moved; the sentence says which is the first"},
	{"audit_forked", exitUnproven, "two signed checkpoints are of different logs: somebody was shown another history"},
	{"audit_truncated", exitUnproven, "the log has fewer commits than were verified before"},
	{"audit_checkpoint", exitUnproven, "a checkpoint is not signed as the policy wants it: by another key, of another log, or by too few witnesses"},
	{"audit_tiles", exitUnproven, "the hash tiles are missing, or are not those of the checkpoint"},
	{"audit_evidence", exitUnproven, "the evidence of a request does not hold: the sentence says what in it proves nothing"},
	{"audit_proof", exitUnproven, "the proof does not prove that commit"},
	{"bad_answer", exitFault, "what answers is no Secrets Bridge, or a newer one"},
	{"not_recorded_then", exitNotFound, "nothing was recorded then; also a code of the server's"},
	{"schema_exists", exitRefused, "there is a schema of the name that `sb audit replay` was to make"},
	{"events_invalid", exitUsage, "an events file is not one of this log's version, or ends too early"},
	{"interrupted", exitFault, "the command was ended by a signal"},
	{"unreachable", exitUnavailable, "no answer came; a command may have been done all the same"},
	{"fault", exitFault, "anything else, such as a full disk"},
}

// fail makes a failure with one of the local codes.
func fail(code, format string, args ...any) error {
	for _, local := range localCodes {
		if local.code == code {
			err := fmt.Errorf(format, args...)
			return &failure{exit: local.exit, code: code, text: err.Error(), err: err}
		}
	}
	panic("no such code: " + code)
}

func usage(format string, args ...any) error { return fail("usage", format, args...) }

// explain turns any error into a failure.
func explain(err error) *failure {
	var f *failure
	var refused *client.Refused
	var unreachable *client.Unreachable
	var altered *client.Altered
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &refused):
		return ofServer(refused)
	case errors.As(err, &unreachable):
		err = fail("unreachable", "%w; try again", unreachable)
	case errors.Is(err, client.ErrUntrusted):
		err = fail("untrusted", "%w; name the CA that signs its certificate with --ca", err)
	case errors.Is(err, client.ErrServerChanged):
		err = fail("server_key_changed", "%w; ask its operator, then sign in again with sb login", err)
	case errors.As(err, &altered):
		err = fail("altered", "%w; look for a proxy between you and the server", altered)
	case errors.Is(err, client.ErrServerKey):
		err = usage("%w: set --server-key or SB_SERVER_KEY", err)
	case errors.Is(err, seal.ErrMalformed), errors.Is(err, seal.ErrTooLarge):
		err = fail("value_invalid", "a value cannot be sealed: it is too long, or no text")
	case errors.Is(err, client.ErrAnswer):
		err = fail("bad_answer", "%w", err)
	case errors.Is(err, client.ErrAddress):
		err = usage("%w: set --server or SB_SERVER", err)
	case errors.Is(err, context.Canceled):
		err = fail("interrupted", "interrupted")
	default:
		err = fail("fault", "%w", err)
	}
	errors.As(err, &f)
	return f
}

// ofServer is the server's own sentence and code, with the exit code of its status: 400 says
// that the call is none of this API, 404 that what it names is not there. Codes that end
// in _unknown say the latter, too, but for a conflict: what that one is about was there.
func ofServer(r *client.Refused) *failure {
	status := r.Problem.Status
	passing := status >= 500 || status == http.StatusTooManyRequests
	var f *failure
	switch {
	case r.Problem.Code == "" && passing:
		errors.As(fail("unreachable", "%w", r), &f)
		return f
	case r.Problem.Code == "":
		errors.As(fail("bad_answer", "%w", r), &f)
		return f
	}
	f = &failure{exit: exitRefused, code: r.Problem.Code, text: r.Problem.Detail, err: r}
	switch {
	case f.code == client.CodeStepUp:
		f.exit = exitStepUp
	case passing:
		f.exit = exitUnavailable
	case status == http.StatusUnauthorized:
		f.exit = exitNotSignedIn
	case status == http.StatusBadRequest:
		f.exit = exitUsage
	case status == http.StatusNotFound, strings.HasSuffix(f.code, "_unknown") && status != http.StatusConflict:
		f.exit = exitNotFound
	}
	if r.Problem.Instance != "" && status == http.StatusInternalServerError {
		f.text += ": " + r.Problem.Instance
	}
	return f
}
