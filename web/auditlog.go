package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/projections"
	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

// Ledger has what is signed of the log. Package ledger's Keeper and Postgres have it, and cmd/sb-server
// joins them.
type Ledger interface {
	// Latest is the newest checkpoint, or [ledger.ErrNoCheckpoint].
	Latest(ctx context.Context) (ledger.Checkpoint, error)

	// Cosigned is the newest that at least so many witnesses cosigned, of those that are named, or of
	// all where none is; or [ledger.ErrNoCheckpoint].
	Cosigned(ctx context.Context, least int, witnesses []string) (ledger.Checkpoint, error)

	// Keys are those of the log and of its witnesses, agents included.
	Keys(ctx context.Context) (LogKeys, error)
}

// LogKeys is who signs checkpoints.
type LogKeys struct {
	Origin    string
	Keys      []LogKey // the current one first
	Witnesses []LogWitness
}

// LogKey is one key of the log. Until is zero for the current one.
type LogKey struct {
	Key   string
	Until time.Time
}

// LogWitness is who cosigns. An agent is one that belongs to this installation.
type LogWitness struct {
	transparency.Witness
	Agent bool
}

// Tree has the hashes and the bytes of the log. [projections.Tree] has it.
type Tree interface {
	transparency.Tiles

	// Commits are the stored bytes of commits behind one, in order and without a gap: at most limit, and
	// as many as maxBytes allow, but at least one where there is one.
	Commits(ctx context.Context, after events.Seq, limit, maxBytes int) ([][]byte, error)
}

const (
	// maxTileLevel is the highest level of a tile: its hashes are over 2^48 commits.
	maxTileLevel = 6

	// maxCommits and maxCommitBytes are what one page of commits has at most. A single commit may be
	// longer than neither (package events), so a page always gets on.
	maxCommits     = 4096
	maxCommitBytes = 4 << 20

	// maxWitnesses is how many cosignatures can be asked for.
	maxWitnesses = 64

	// maxTree is the largest size that can be asked for. JSON numbers are exact up to there.
	maxTree = 1<<53 - 1

	textType = "text/plain; charset=utf-8"

	// forever lets the caller's own cache keep what never changes (RFC 8246).
	forever = "private, max-age=31536000, immutable"
)

// checkpointOf is the newest checkpoint that a call wants.
func (a *API) checkpointOf(c *call, q url.Values) (k ledger.Checkpoint, err error) {
	witnesses, err := numberOf(q, "witnesses", maxWitnesses)
	if err != nil {
		return k, err
	}
	named := q["witness"]
	if len(named) > maxWitnesses {
		return k, errParameter.because(fmt.Sprintf("at most %d witnesses can be named", maxWitnesses))
	}
	if witnesses == 0 {
		witnesses = len(named)
	}
	if witnesses == 0 {
		k, err = a.Ledger.Latest(c.ctx())
	} else {
		k, err = a.Ledger.Cosigned(c.ctx(), witnesses, named)
	}
	if errors.Is(err, ledger.ErrNoCheckpoint) {
		return k, errNoCheckpoint
	}
	return k, err
}

// logCheckpoint answers with a signed checkpoint.
func (a *API) logCheckpoint(c *call) (reply, error) {
	q, err := c.query("witnesses", "witness")
	if err != nil {
		return reply{}, err
	}
	k, err := a.checkpointOf(c, q)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, raw: k.Note(), contentType: textType}, a.reads(c, events.ReadingProofs, q)
}

// treeOf waits until the views hold what a checkpoint is of.
func (a *API) treeOf(c *call, k ledger.Checkpoint) error {
	ctx, cancel := context.WithTimeout(c.ctx(), viewPatience)
	defer cancel()
	err := a.Views.WaitFor(ctx, events.Seq(k.Tree.N))
	if errors.Is(err, projections.ErrBehind) && c.ctx().Err() == nil {
		return errViewBehind
	}
	return err
}

// logTile answers with hashes of the tree. The route's parameter is what a tile's path has behind
// "tile/" (c2sp.org/tlog-tiles).
func (a *API) logTile(c *call) (reply, error) {
	q, err := c.query()
	if err != nil {
		return reply{}, err
	}
	tile, err := torchwood.ParseTilePath("tile/" + c.param("tile"))
	switch {
	case err != nil:
		return reply{}, errTile.because("this is no path of a tile: LEVEL/NUMBER, in groups of three digits, with .p/WIDTH behind it for one that is not full")
	case tile.L < 0:
		return reply{}, errTile.because("there are no bundles of entries: a commit may be longer than they allow; read /audit/log/commits")
	}
	k, err := a.checkpointOf(c, q)
	if err != nil {
		return reply{}, err
	}
	if tile.L > maxTileLevel || tile.N*transparency.Width+int64(tile.W) > k.Tree.N>>(8*tile.L) {
		return reply{}, errTile.because(fmt.Sprintf("the newest checkpoint is of %d commits, and its tree has no such tile", k.Tree.N))
	}
	if err := a.treeOf(c, k); err != nil {
		return reply{}, err
	}
	data, err := a.Tree.ReadTiles(c.ctx(), []tlog.Tile{tile})
	if err != nil {
		return reply{}, unread(err)
	}
	if err := a.reads(c, events.ReadingProofs, q); err != nil {
		return reply{}, err
	}
	if tile.W == transparency.Width {
		c.w.Header().Set("Cache-Control", forever)
	}
	return reply{status: http.StatusOK, raw: data[0], contentType: "application/octet-stream"}, nil
}

// unread says of a tree that cannot be read that the views are behind: whatever the checkpoint is
// of was folded, or will be.
func unread(err error) error {
	if errors.Is(err, projections.ErrNotFound) {
		return errViewBehind
	}
	return err
}

// logCommits answers with stored bytes, one commit a line, up to the newest checkpoint.
func (a *API) logCommits(c *call) (reply, error) {
	q, err := c.query("after", "limit")
	if err != nil {
		return reply{}, err
	}
	after, err := numberFrom(q, "after", 0, 0)
	if err != nil {
		return reply{}, err
	}
	limit, err := numberOf(q, "limit", maxCommits)
	if err != nil {
		return reply{}, err
	}
	if limit == 0 {
		limit = maxCommits
	}
	k, err := a.checkpointOf(c, nil)
	if err != nil {
		return reply{}, err
	}
	if err := a.treeOf(c, k); err != nil {
		return reply{}, err
	}
	var lines bytes.Buffer
	if left := k.Tree.N - after; left > 0 {
		found, err := a.Tree.Commits(c.ctx(), events.Seq(after), int(min(left, int64(limit))), maxCommitBytes)
		if err != nil {
			return reply{}, unread(err)
		}
		for _, raw := range found {
			lines.Write(raw)
			lines.WriteByte('\n')
		}
	}
	return reply{status: http.StatusOK, raw: lines.Bytes(), contentType: linesType}, a.reads(c, events.ReadingCommits, q)
}

// numberFrom reads a number of commits. The least is what it may be, and missing what it is where
// there is none.
func numberFrom(q url.Values, name string, least, missing int64) (int64, error) {
	if !q.Has(name) {
		return missing, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < least || n > maxTree {
		return 0, errParameter.because(fmt.Sprintf("%s is a number from %d on", name, least))
	}
	return n, nil
}

// prover proves by the newest checkpoint, once the views have all that it is of.
func (a *API) prover(c *call, q url.Values) (transparency.Prover, ledger.Checkpoint, error) {
	k, err := a.checkpointOf(c, q)
	if err == nil {
		err = a.treeOf(c, k)
	}
	return transparency.Prover{Tree: k.Tree, Tiles: a.Tree}, k, err
}

// proven explains what a prover refuses, and records that somebody reads proofs where it did not.
func (a *API) proven(c *call, q url.Values, err error, beyond *problem) error {
	switch {
	case errors.Is(err, transparency.ErrNotInTree):
		return beyond
	case err != nil:
		return unread(err)
	}
	return a.reads(c, events.ReadingProofs, q)
}

func (a *API) logInclusion(c *call) (reply, error) {
	q, err := c.query("seq", "size")
	if err != nil {
		return reply{}, err
	}
	seq, err := numberFrom(q, "seq", 1, 0)
	if err != nil {
		return reply{}, err
	}
	if seq == 0 {
		return reply{}, errParameter.because("seq says which commit")
	}
	p, k, err := a.prover(c, nil)
	if err != nil {
		return reply{}, err
	}
	size, err := numberFrom(q, "size", 1, k.Tree.N)
	if err != nil {
		return reply{}, err
	}
	beyond := errCommit.because(fmt.Sprintf("there is no commit %d among %d", seq, size))
	if size > k.Tree.N {
		beyond = errProofSize.because(fmt.Sprintf("size is %d at most: that of the newest checkpoint", k.Tree.N))
	}
	hashes, err := p.Inclusion(c.ctx(), events.Seq(seq), size)
	if err := a.proven(c, q, err, beyond); err != nil {
		return reply{}, err
	}
	leaf, err := p.Leaf(c.ctx(), events.Seq(seq))
	if err != nil {
		return reply{}, unread(err)
	}
	return reply{status: http.StatusOK, body: api.Inclusion{
		Seq: uint64(seq), Leaf: seq - 1, Size: size, LeafHash: leaf.String(), Hashes: texts(hashes),
	}}, nil
}

func (a *API) logConsistency(c *call) (reply, error) {
	q, err := c.query("from", "to")
	if err != nil {
		return reply{}, err
	}
	from, err := numberFrom(q, "from", 1, 0)
	if err != nil {
		return reply{}, err
	}
	if from == 0 {
		return reply{}, errParameter.because("from says which size the tree had")
	}
	p, k, err := a.prover(c, nil)
	if err != nil {
		return reply{}, err
	}
	to, err := numberFrom(q, "to", 1, k.Tree.N)
	if err != nil {
		return reply{}, err
	}
	hashes, err := p.Consistency(c.ctx(), from, to)
	beyond := errProofSize.because(fmt.Sprintf("from is 1 to %d, and to is %d to %d: that of the newest checkpoint", min(to, k.Tree.N), min(from, k.Tree.N), k.Tree.N))
	if err := a.proven(c, q, err, beyond); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Consistency{From: from, To: to, Hashes: texts(hashes)}}, nil
}

func texts(hashes []tlog.Hash) []string {
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = h.String() // base64
	}
	return all
}

// logProof answers with a text that proves a commit to who has a policy and its bytes.
func (a *API) logProof(c *call) (reply, error) {
	q, err := c.query("witnesses", "witness")
	if err != nil {
		return reply{}, err
	}
	seq, err := strconv.ParseInt(c.param("seq"), 10, 64)
	if err != nil || seq < 1 {
		return reply{}, errCommit.because("a commit has a number from 1 on")
	}
	p, k, err := a.prover(c, q)
	if err != nil {
		return reply{}, err
	}
	text, err := p.Proof(c.ctx(), events.Seq(seq), k.Note())
	beyond := errCommit.because(fmt.Sprintf("the checkpoint is of %d commits; a newer commit has to wait for the next one", k.Tree.N))
	if err := a.proven(c, q, err, beyond); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, raw: text, contentType: textType}, nil
}
