package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/transparency/evidence"
	"secretsbridge/web/api/client"
)

// verifying is what sb audit verify is told.
type verifying struct {
	events, checkpoint, policy, tiles, dir string
	proof, event, evidence                 string
	state                                  string
	all                                    bool
}

// verdict is what it says with --output json, also where something is wrong.
type verdict struct {
	OK      bool     `json:"ok"`
	Origin  string   `json:"origin"`
	Size    int64    `json:"size,omitempty"` // of the checkpoint
	Root    string   `json:"root,omitempty"`
	Signers []string `json:"signers,omitempty"` // the log, and witnesses of the policy
	First   uint64   `json:"first,omitempty"`   // the first commit that was looked at
	Commits int64    `json:"commits"`           // that were looked at

	Code string `json:"code,omitempty"` // what is wrong
	Seq  uint64 `json:"seq,omitempty"`  // of the first bad event
	Upto uint64 `json:"upto,omitempty"` // it is one from seq to this
	What string `json:"what,omitempty"`
	Says string `json:"says,omitempty"`
}

func verifyAuditCommand(a *cli) *cobra.Command {
	var v verifying
	c := &cobra.Command{
		Use:   "verify",
		Short: "Verify that nothing of the log was changed, removed or added",
		Long: "Verifies that the log is the one that its key and its witnesses signed, and names the first event that\n" +
			"is not. The policy says whose signatures count (c2sp.org/tlog-policy).\n\n" +
			"With a session it reads the log from the server, from where the last run ended. A file beside the\n" +
			"session keeps the policy and the last checkpoint: so a log that was cut, forked or made anew since is\n" +
			"found, whatever the server says. Without --policy, the first run takes the server's word for it.\n\n" +
			"With --events it reads a file in which line i is the commit with sequence i (sb audit export --commits),\n" +
			"and needs no server: --checkpoint is one or several signed checkpoints, and --tiles a folder of hash\n" +
			"tiles. Without tiles it finds that something is wrong and up to which checkpoint, but not where. With\n" +
			"--dir, checkpoint and tiles come from a folder that the server exports.\n\n" +
			"With --proof and --event it verifies one commit, with --evidence all that is known of a request, and tells\n" +
			"it from what is proven alone.",
		Example: "  sb audit verify\n" +
			"  sb audit verify --events events.jsonl --checkpoint checkpoint --policy policy.txt --tiles export/\n" +
			"  sb audit verify --proof event.proof --event event.json --policy policy.txt\n" +
			"  sb audit verify --evidence evidence.json --policy policy.txt",
		Args: takes(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := v.check(); err != nil {
				return err
			}
			run := func(*client.Client) (verdict, error) { return v.offline(c) }
			switch {
			case v.evidence != "":
				return v.ofRequest(a, c)
			case v.proof != "":
				run = func(*client.Client) (verdict, error) { return v.one(a) }
			case !v.local():
				return a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
					return v.tell(a, c, func() (verdict, error) { return v.online(c, to) })
				})(c, args)
			}
			return v.tell(a, c, func() (verdict, error) { return run(nil) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&v.events, "events", "", "an events file, or - for standard input")
	flags.StringVar(&v.checkpoint, "checkpoint", "", "signed checkpoints, one behind the other")
	flags.StringVar(&v.policy, "policy", "", "whose signatures count; without a server the kept one counts if there is none")
	flags.StringVar(&v.tiles, "tiles", "", "a folder with tile/… in it")
	flags.StringVar(&v.dir, "dir", "", "a folder that the server exported: its checkpoint, its tiles and, without --events, its commits")
	flags.StringVar(&v.proof, "proof", "", "a proof that sb audit prove wrote")
	flags.StringVar(&v.event, "event", "", "the commit that it proves, exactly")
	flags.StringVar(&v.evidence, "evidence", "", "a file that sb audit evidence wrote")
	flags.StringVar(&v.state, "state", "", "where the policy and the last checkpoint are kept, instead of beside the session")
	flags.BoolVar(&v.all, "all", false, "read the whole log again, not only what is new")
	return c
}

// local reports whether files are verified.
func (v verifying) local() bool {
	return v.events != "" || v.dir != "" || v.checkpoint != "" || v.tiles != "" || v.proof != "" || v.event != ""
}

func (v verifying) check() error {
	several := v.events != "" || v.dir != "" || v.checkpoint != "" || v.tiles != ""
	switch {
	case v.evidence != "" && (several || v.proof != "" || v.event != "" || v.all):
		return usage("--evidence is verified in a call of its own, with --policy alone")
	case (v.proof == "") != (v.event == ""):
		return usage("--proof and --event belong together: one proves the other")
	case v.proof != "" && several:
		return usage("--proof proves one commit; verify a whole log in a call of its own")
	case v.local() && v.all:
		return usage("--all is for a log that is read from the server; a file is always read as a whole")
	case v.proof != "" || !several:
		return nil
	case v.dir != "" && (v.checkpoint != "" || v.tiles != ""):
		return usage("--dir has a checkpoint and tiles; leave out --checkpoint and --tiles")
	case v.dir == "" && (v.events == "" || v.checkpoint == ""):
		return usage("--events and --checkpoint are needed, or --dir")
	case v.policy == "":
		return usage("--policy is needed: it says whose signatures count; sb audit keys --policy writes the server's")
	}
	return nil
}

// tell shows what was found. It is a failure if anything is wrong.
func (v verifying) tell(a *cli, c *cobra.Command, verify func() (verdict, error)) error {
	got, err := verify()
	if err != nil {
		err = unverified(err)
		var f *failure
		if a.output == "json" && errors.As(err, &f) && f.exit == exitUnproven {
			got.Code, got.Says = f.code, f.text
			var bad *transparency.BadEvent
			if errors.As(err, &bad) {
				got.Seq, got.Upto, got.What, got.Says = uint64(bad.Seq), uint64(bad.Upto), string(bad.What), bad.Says
			}
			err = errors.Join(err, encode(c.OutOrStdout(), got))
		}
		return err
	}
	got.OK = true
	if a.output == "json" {
		return encode(c.OutOrStdout(), got)
	}
	_, err = io.WriteString(c.OutOrStdout(), got.text())
	return err
}

func (got verdict) text() string {
	var b strings.Builder
	switch {
	case got.Commits == 0:
		fmt.Fprintf(&b, "verified: nothing is new since %s\n", commits(got.Size))
	case got.Commits == 1:
		fmt.Fprintf(&b, "verified: commit %d is as it was signed\n", got.First)
	default:
		fmt.Fprintf(&b, "verified: commits %d to %d are as they were signed, all of them, in this order\n", got.First, got.First+uint64(got.Commits)-1)
	}
	fmt.Fprintf(&b, "log       %s\nsize      %d\nroot      %s\n", clean(got.Origin), got.Size, got.Root)
	for i, signer := range got.Signers {
		name := "cosigned"
		if i == 0 {
			name = "signed"
		}
		fmt.Fprintf(&b, "%-9s %s\n", name, clean(signer))
	}
	return b.String()
}

// unverified turns what the verifier found into a failure; what kept it from looking stays what it is.
func unverified(err error) error {
	var refused *client.Refused
	var unreachable *client.Unreachable
	var altered *client.Altered
	var f *failure
	var bad *transparency.BadEvent
	switch {
	case errors.As(err, &f), errors.As(err, &refused), errors.As(err, &unreachable), errors.As(err, &altered), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &bad):
		return fail("audit_bad_event", "%w", err)
	case errors.Is(err, transparency.ErrForked):
		return fail("audit_forked", "%w; keep both checkpoints: together they are the evidence", err)
	case errors.Is(err, transparency.ErrShrunk):
		return fail("audit_truncated", "%w", err)
	case errors.Is(err, evidence.ErrEvidence):
		return fail("audit_evidence", "%w", err)
	case errors.Is(err, transparency.ErrTiles):
		return fail("audit_tiles", "%w", err)
	case errors.Is(err, transparency.ErrCheckpoint):
		return fail("audit_checkpoint", "%w", err)
	case errors.Is(err, transparency.ErrProof):
		return fail("audit_proof", "%w", err)
	case errors.Is(err, transparency.ErrPolicy):
		return usage("%w", err)
	}
	return err
}

// offline verifies an events file.
func (v verifying) offline(c *cobra.Command) (verdict, error) {
	policy, err := readPolicy(v.policy)
	if err != nil {
		return verdict{}, err
	}
	got := verdict{Origin: policy.Origin(), First: 1}
	if v.dir != "" {
		v.checkpoint, v.tiles = filepath.Join(v.dir, "checkpoint"), v.dir
	}
	signed, err := readSome(v.checkpoint, 16<<20)
	if err != nil {
		return got, err
	}
	against := transparency.Against{Policy: policy, Checkpoints: transparency.SplitCheckpoints(signed)}
	if v.tiles != "" {
		against.Tiles = transparency.Folder{FS: os.DirFS(v.tiles)}
	}
	file, err := v.open(c)
	if err != nil {
		return got, err
	}
	defer file.Close()
	found, err := transparency.VerifyEvents(c.Context(), file, against)
	if err != nil {
		return got, err
	}
	return got.of(found), nil
}

func (got verdict) of(found transparency.Verified) verdict {
	got.Size, got.Root, got.Signers, got.Commits = found.Newest.Tree.N, found.Newest.Tree.Hash.String(), found.Newest.Signers, found.Commits
	return got
}

// open finds the events: a file, standard input, or what a folder has.
func (v verifying) open(c *cobra.Command) (io.ReadCloser, error) {
	switch v.events {
	case "-":
		return io.NopCloser(c.InOrStdin()), nil
	case "":
		return openCommits(v.dir)
	}
	return os.Open(v.events)
}

// one verifies a single commit.
func (v verifying) one(a *cli) (verdict, error) {
	policy, err := v.given(a)
	if err != nil {
		return verdict{}, err
	}
	got := verdict{Origin: policy.Origin()}
	proof, err := readSome(v.proof, 1<<20)
	if err != nil {
		return got, err
	}
	raw, err := readSome(v.event, events.MaxCommitBytes+1)
	if err != nil {
		return got, err
	}
	raw = bytes.TrimSuffix(raw, []byte("\n")) // a line of an events file
	seq, opened, err := policy.VerifyProof(proof, raw)
	if err != nil {
		return got, err
	}
	got.First, got.Commits, got.Size, got.Root, got.Signers = uint64(seq), 1, opened.Tree.N, opened.Tree.Hash.String(), opened.Signers
	return got, nil
}

// given is the policy that is named, else the kept one.
func (v verifying) given(a *cli) (*transparency.Policy, error) {
	if v.policy != "" {
		return readPolicy(v.policy)
	}
	return v.kept(a)
}

// kept is the policy that the runs with a server keep.
func (v verifying) kept(a *cli) (*transparency.Policy, error) {
	path, err := v.statePath(given(a.server, "SB_SERVER"))
	if err != nil {
		return nil, err
	}
	known, err := readAuditState(path)
	if err == nil && known.Policy == "" {
		err = usage("--policy is needed: none is kept from a run with a server")
	}
	if err != nil {
		return nil, err
	}
	return transparency.ParsePolicy([]byte(known.Policy))
}

func readPolicy(path string) (*transparency.Policy, error) {
	text, err := readSome(path, transparency.MaxPolicy)
	if err != nil {
		return nil, err
	}
	return transparency.ParsePolicy(text)
}

// readSome reads a file that has no more than so many bytes.
func readSome(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = usage("%s has more than %d bytes, which is more than it can be", clean(path), most)
	}
	return text, err
}
