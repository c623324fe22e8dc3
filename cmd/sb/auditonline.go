package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// auditState is what an auditor knows of a log from before, and no server can change.
type auditState struct {
	Policy     string `json:"policy"`
	Checkpoint string `json:"checkpoint"` // the last that all was verified up to
}

// statePath is where it is kept: beside the session, one file a server.
func (v verifying) statePath(server string) (string, error) {
	if v.state != "" {
		return v.state, nil
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", usage("no server: set --server or SB_SERVER to its https URL, or --policy")
	}
	file, err := findTokenFile()
	if err != nil {
		return "", err
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune(".-", r) {
			return r
		}
		return '_'
	}, strings.ToLower(u.Host+strings.TrimSuffix(u.Path, "/")))
	return filepath.Join(filepath.Dir(string(file)), "audit-"+name+".json"), nil
}

// readAuditState is zero where there was no run yet.
func readAuditState(path string) (known auditState, err error) {
	text, err := readSome(path, 2<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		return known, fmt.Errorf("read what is known of the log from before: %w; name another file with --state, which begins anew", err)
	}
	return known, nil
}

// behindServer is how often a server is asked again that knows less than another one of the same
// installation did: it may be behind by a moment.
const behindServer = 5

// online verifies what is new at the server.
func (v verifying) online(c *cobra.Command, to *client.Client) (verdict, error) {
	path, err := v.statePath(to.Server())
	if err != nil {
		return verdict{}, err
	}
	known, err := readAuditState(path)
	if err != nil {
		return verdict{}, err
	}
	policy, err := v.policyFor(c, to, known)
	if err != nil {
		return verdict{}, err
	}
	got := verdict{Origin: policy.Origin()}
	before, err := lastKnown(known, policy)
	if err != nil {
		return got, err
	}
	newest, err := newestCheckpoint(c.Context(), to, policy)
	for n := 1; err == nil && newest.Tree.N < before.N && n < behindServer; n++ {
		if err := pause(c, time.Second); err != nil {
			return got, err
		}
		newest, err = newestCheckpoint(c.Context(), to, policy)
	}
	if err != nil {
		return got, err
	}
	tiles := &serverTiles{to: to}
	if err := transparency.Follows(c.Context(), newest.Tree, before, tiles); err != nil {
		return got, err
	}
	from := before
	if v.all {
		from = tlog.Tree{}
	}
	got.First = uint64(from.N) + 1
	against := transparency.Against{Policy: policy, Checkpoints: [][]byte{newest.Signed}, Tiles: tiles, Known: from}
	if isTerminal(c.ErrOrStderr()) {
		against.Progress = func(upto events.Seq) { note(c, "%d of %d", upto, newest.Tree.N) }
	}
	lines := &serverCommits{ctx: c.Context(), to: to, after: uint64(from.N), upto: uint64(newest.Tree.N)}
	found, err := transparency.VerifyEvents(c.Context(), lines, against)
	if err != nil {
		return got, err
	}
	text, err := json.Marshal(auditState{found.Policy.String(), string(newest.Signed)})
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), replace(path, text))
	}
	if err != nil {
		return got, fmt.Errorf("all is verified, and the next run will not know it: %w", err)
	}
	if found.Policy.Key() != policy.Key() {
		note(c, "the log has another key now, %s, as the old one vouches for", clean(found.Policy.Key()))
	}
	return got.of(found), nil
}

// policyFor is the one that was given, else the one that is kept, else the server's own.
func (v verifying) policyFor(c *cobra.Command, to *client.Client, known auditState) (*transparency.Policy, error) {
	switch {
	case v.policy != "":
		return readPolicy(v.policy)
	case known.Policy != "":
		return transparency.ParsePolicy([]byte(known.Policy))
	}
	keys, err := client.Get[api.LogKeys](c.Context(), to, client.Path("audit", "log", "keys"), nil)
	if err != nil {
		return nil, err
	}
	policy, err := transparency.ParsePolicy([]byte(keys.Value.Policy))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrAnswer, err)
	}
	note(c, "this is the first run, so the server says itself by whom it is to be believed; from now on its key is %s", clean(policy.Key()))
	return policy, nil
}

// lastKnown is the tree that the last run ended with. The checkpoint is this program's own, verified
// when it was kept; of another log it is none.
func lastKnown(known auditState, policy *transparency.Policy) (tlog.Tree, error) {
	if known.Checkpoint == "" {
		return tlog.Tree{}, nil
	}
	tree, origin, err := transparency.ReadCheckpoint([]byte(known.Checkpoint))
	if err == nil && origin != policy.Origin() {
		err = usage("the policy is of the log %s, and what is known from before of %s; --state names another file", clean(policy.Origin()), clean(origin))
	}
	return tree, err
}

func pause(c *cobra.Command, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Context().Done():
		return c.Context().Err()
	}
}
