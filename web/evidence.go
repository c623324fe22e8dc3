package web

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/transparency"
	"secretsbridge/transparency/evidence"
)

// checkpointPatience is how long evidence waits for a checkpoint that covers the request: they
// are signed within a second.
const checkpointPatience = 3 * time.Second

// checkpointPause is between two looks for one.
const checkpointPause = 100 * time.Millisecond

// exportEvidence answers with one file that proves what became of a request. All of it is read
// from the log itself. That somebody takes it with them is a fact before it is sent.
func (a *API) exportEvidence(c *call) (reply, error) {
	q, err := c.query("witnesses")
	if err != nil {
		return reply{}, err
	}
	witnesses, err := numberOf(q, "witnesses", maxWitnesses)
	if err != nil {
		return reply{}, err
	}
	id := events.RequestID(c.param("id"))
	commits, err := a.evidenceOf(c.ctx(), id)
	if err != nil {
		return reply{}, err
	}
	checkpoint, err := a.covering(c.ctx(), lastOf(commits), witnesses)
	if err != nil {
		return reply{}, err
	}
	if err := a.treeOf(c, checkpoint); err != nil {
		return reply{}, err
	}
	prove := func(ctx context.Context, tree tlog.Tree, leaf int64) (tlog.RecordProof, error) {
		return transparency.Prover{Tree: tree, Tiles: a.Tree}.Inclusion(ctx, transparency.SeqOf(leaf), tree.N)
	}
	text, err := evidence.Make(c.ctx(), id, c.now, checkpoint.Note(), checkpoint.Tree, commits, prove)
	if err != nil {
		return reply{}, err
	}
	return a.export(c, document{
		name: "evidence-" + string(id), extension: ".json", contentType: "application/json", head: func(*bytes.Buffer) {},
		page: func(_ context.Context, _ string, to *bytes.Buffer) (int, string, error) {
			if _, err := a.record(c, c.actor, events.EvidenceExported{Request: id}); err != nil {
				return 0, "", err
			}
			to.Write(text)
			return 1, "", nil
		},
	})
}

// evidenceOf gathers the commits of a request and of what stands behind it.
func (a *API) evidenceOf(ctx context.Context, id events.RequestID) ([]events.Recorded, error) {
	stream := events.RequestStream(id)
	if !stream.Valid() {
		return nil, command.ErrRequestUnknown
	}
	commits, err := a.Log.Load(ctx, stream)
	if err != nil {
		return nil, err
	}
	if len(commits) == 0 {
		return nil, command.ErrRequestUnknown
	}
	all := append([]events.Recorded(nil), commits...)
	for _, w := range evidence.Wants(commits) {
		history, err := a.Log.Load(ctx, w.Stream)
		if err != nil {
			return nil, err
		}
		all = append(all, w.Of(history)...)
	}
	return all, nil
}

func lastOf(commits []events.Recorded) events.Seq {
	last := events.Seq(0)
	for _, c := range commits {
		last = max(last, c.Seq)
	}
	return last
}

// covering waits until a checkpoint covers a commit that as many witnesses cosigned as are asked
// for. Where none are, one that a witness has seen is better than a newer one that nobody has.
func (a *API) covering(ctx context.Context, seq events.Seq, witnesses int) (ledger.Checkpoint, error) {
	covers := func(found ledger.Checkpoint, err error) (bool, error) {
		if errors.Is(err, ledger.ErrNoCheckpoint) {
			return false, nil
		}
		return err == nil && events.Seq(found.Tree.N) >= seq, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	for {
		found, err := a.Ledger.Cosigned(ctx, max(witnesses, 1), nil)
		enough, err := covers(found, err)
		if err == nil && !enough && witnesses == 0 {
			found, err = a.Ledger.Latest(ctx)
			enough, err = covers(found, err)
		}
		if err != nil || enough {
			return found, err
		}
		select {
		case <-ctx.Done():
			return ledger.Checkpoint{}, errNoCheckpoint
		case <-time.After(checkpointPause):
		}
	}
}
