package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/internal/egress"
	"secretsbridge/transparency"
)

const (
	// maxWitnessAnswer bounds what a witness says, in bytes: a dozen signature lines, also of keys
	// that are larger than Ed25519's.
	maxWitnessAnswer = 16 << 10

	// maxProof is how many hashes a witness takes (c2sp.org/tlog-witness). A tree of 2^62 commits
	// has no longer proof.
	maxProof = 63

	// maxWitnesses is how many one policy may name: each is called for each checkpoint.
	maxWitnesses = 64
)

// Witness is one outside of this installation that cosigns checkpoints (c2sp.org/tlog-witness).
type Witness struct {
	Name string // of its key, which its cosignatures begin with
	Key  string // of verifiers, as the policy has it
	URL  string // the submission prefix: checkpoints go to URL/add-checkpoint

	verifier note.Verifier
}

// Quorum reports whether witnesses of these names are, together, those whose word a policy wants.
type Quorum func(names []string) bool

// Witnesses are those of a policy (c2sp.org/tlog-policy) that have a URL, and its quorum. Its lines
// for logs may be left out: the policy is for the log of these keys of verifiers, the current one
// last. One of another log is refused.
func Witnesses(policy []byte, keys []string) ([]Witness, Quorum, error) {
	var rules strings.Builder
	fmt.Fprintf(&rules, "log %s\n", keys[len(keys)-1])
	var witnesses []Witness
	ours, logs := false, 0
	for line := range strings.Lines(string(policy)) {
		text, _, _ := strings.Cut(line, "#")
		fields := strings.Fields(text)
		if len(fields) > 1 && fields[0] == "log" {
			logs++
			for _, key := range keys {
				ours = ours || fields[1] == key
			}
			continue
		}
		rules.WriteString(line)
		if len(fields) < 4 || fields[0] != "witness" {
			continue
		}
		if len(fields) > 4 {
			return nil, nil, fmt.Errorf("witness %s: there is something after its URL", fields[1])
		}
		key, err := torchwood.NewCosignatureVerifier(fields[2])
		if err != nil {
			return nil, nil, fmt.Errorf("witness %s: its key is not one of cosignatures by Ed25519 (NAME+HASH+KEY, of type 4): %w", fields[1], err)
		}
		at, err := egress.PlainTarget("witness "+fields[1]+": the URL", fields[3])
		if err != nil {
			return nil, nil, err
		}
		if at.RawQuery != "" {
			return nil, nil, fmt.Errorf("witness %s: the URL has a part after ?: write the prefix that /add-checkpoint follows", fields[1])
		}
		for _, w := range witnesses {
			if w.Name == key.Name() {
				return nil, nil, fmt.Errorf("two witnesses sign as %s: cosignatures are told apart by that name", w.Name)
			}
		}
		witnesses = append(witnesses, Witness{Name: key.Name(), Key: fields[2], URL: strings.TrimSuffix(at.String(), "/"), verifier: key})
	}
	parsed, err := transparency.ParsePolicy([]byte(rules.String()))
	if err != nil {
		return nil, nil, err
	}
	if logs > 0 && !ours {
		return nil, nil, errors.New("it is of another log: write none of its lines that begin with \"log\", or the key that `sb-server checkpoint-key show` prints")
	}
	if len(witnesses) > maxWitnesses {
		return nil, nil, fmt.Errorf("it names %d witnesses: %d at most", len(witnesses), maxWitnesses)
	}
	return witnesses, quorum(parsed, witnesses), nil
}

// quorum is that of a policy. One that any checkpoint of the log satisfies has none.
func quorum(policy *transparency.Policy, witnesses []Witness) Quorum {
	return func(names []string) bool {
		signed := []note.Signature{}
		if key, err := note.NewVerifier(policy.Key()); err == nil { // as it was when the policy was read
			signed = append(signed, note.Signature{Name: key.Name(), Hash: key.KeyHash()})
		}
		if policy.Rules().Check(policy.Origin(), signed) == nil {
			return false
		}
		for _, w := range witnesses {
			if slices.Contains(names, w.Name) {
				signed = append(signed, note.Signature{Name: w.verifier.Name(), Hash: w.verifier.KeyHash()})
			}
		}
		return policy.Rules().Check(policy.Origin(), signed) == nil
	}
}

// What a witness may answer beside a cosignature.
var (
	errWitnessUnknown  = errors.New("it does not know this log: tell its operator the log's key (`sb-server checkpoint-key show`)")
	errWitnessKey      = errors.New("it knows this log by another key: tell its operator the new one (`sb-server checkpoint-key show`)")
	errWitnessBusy     = errors.New("it asks for fewer calls")
	errWitnessProof    = errors.New("it does not take the proof that the log goes on from what it cosigned")
	errWitnessGarbage  = errors.New("its answer is none of c2sp.org/tlog-witness")
	errWitnessNoCosign = errors.New("it answered without a cosignature of its key")
)

// witnessAt says that a witness has cosigned another size before.
type witnessAt struct{ size int64 }

func (e *witnessAt) Error() string { return fmt.Sprintf("it has cosigned %d commits", e.size) }

// addCheckpoint asks a witness for its cosignature: one line, with its newline. Old is the size
// that it cosigned before, 0 if it never did, from which the proof leads to the checkpoint.
func (w Witness) addCheckpoint(ctx context.Context, client *http.Client, old int64, proof tlog.TreeProof, signed []byte) (string, error) {
	if len(proof) > maxProof {
		return "", fmt.Errorf("the proof has %d hashes", len(proof))
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(h[:]))
	}
	body.WriteByte('\n')
	body.Write(signed)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", &body)
	if err != nil {
		return "", fmt.Errorf("call witness %s: its URL is none", w.Name)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := egress.Do(client, req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, maxWitnessAnswer+1))
	if err != nil {
		return "", egress.Explain(hostOf(w.URL), err)
	}
	if len(said) > maxWitnessAnswer {
		return "", errWitnessGarbage
	}
	switch res.StatusCode {
	case http.StatusOK:
		return w.cosignature(signed, said)
	case http.StatusNotFound:
		return "", errWitnessUnknown
	case http.StatusForbidden:
		return "", errWitnessKey
	case http.StatusTooManyRequests:
		return "", errWitnessBusy
	case http.StatusUnprocessableEntity:
		return "", errWitnessProof
	case http.StatusConflict:
		number, whole := strings.CutSuffix(string(said), "\n")
		size, err := strconv.ParseInt(number, 10, 64)
		if err != nil || !whole || size < 0 || strconv.FormatInt(size, 10) != number {
			return "", errWitnessGarbage
		}
		return "", &witnessAt{size}
	}
	return "", fmt.Errorf("it answered with status %d", res.StatusCode)
}

// Seen asks a witness how many commits of this log it has cosigned. It is shown a checkpoint without
// a proof, which only a witness that saw none takes: that one cosigns it, and the answer is 0.
func (w Witness) Seen(ctx context.Context, client *http.Client, signed []byte) (int64, error) {
	_, err := w.addCheckpoint(ctx, client, 0, nil, signed)
	var at *witnessAt
	switch {
	case errors.As(err, &at):
		return at.size, nil
	case err == nil, errors.Is(err, errWitnessUnknown):
		return 0, nil
	}
	return 0, fmt.Errorf("ask witness %s what it has seen: %w", w.Name, err)
}

// cosignature finds the line of this witness's key among what it said, and verifies it.
func (w Witness) cosignature(signed, said []byte) (string, error) {
	text, _, found := bytes.Cut(signed, []byte("\n\n"))
	if !found {
		return "", errors.New("the checkpoint has no signature")
	}
	for line := range strings.Lines(string(said)) {
		if !strings.HasPrefix(line, "— "+w.Name+" ") || !strings.HasSuffix(line, "\n") {
			continue
		}
		whole := append(append(bytes.Clone(text), "\n\n"...), line...)
		if n, err := note.Open(whole, note.VerifierList(w.verifier)); err == nil && len(n.Sigs) == 1 {
			return line, nil
		}
	}
	return "", errWitnessNoCosign
}

// hostOf is the host of a URL that was read before.
func hostOf(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
