package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/internal/egress"
	"secretsbridge/ledger"
	"secretsbridge/ledger/s3"
	"secretsbridge/projections"
	"secretsbridge/store"
	"secretsbridge/transparency"
)

// openLedger makes the keeper of the log's proof.
func (st *stack) openLedger(ctx context.Context) error {
	begun, err := st.keys.checkpoints.settle(ctx, st.store)
	if err != nil {
		return err
	}
	if begun {
		st.log.Warn("a rotation of the key of checkpoints was begun and does not count yet: `sb-server checkpoint-key rotate` finishes it")
	}
	verifiers, err := transparency.NewVerifiers(st.keys.checkpoints.public()...)
	if err != nil {
		return fmt.Errorf("open the keys of checkpoints: %w", err)
	}
	witnesses, quorum, err := st.settings.witnesses(st.keys.checkpoints.public())
	if err != nil {
		return err
	}
	export, err := st.settings.export(ctx)
	if err != nil {
		return err
	}
	st.ledger = ledger.New(ledger.Config{
		Witnesses: witnesses, Quorum: quorum, Tiles: projections.Tree{Pool: st.pool}, ScrubEach: st.settings.ScrubEach,
		Export: export, Commits: projections.Tree{Pool: st.pool},
		Client: egress.Client(egress.Policy{Allow: st.settings.Egress, PlainLoopback: true}),
		Feed:   st.store, Audit: folded{st.progress}, Checkpoints: store.Checkpoints{Pool: st.pool},
		Signer: st.keys.checkpoints.signer, Verifiers: verifiers, Logger: st.log, Now: time.Now,
	})
	return nil
}

// export is where the log is exported to; nil: nowhere.
func (s settings) export(ctx context.Context) (ledger.Objects, error) {
	switch {
	case s.Tiles == "":
		return nil, nil
	case !strings.HasPrefix(s.Tiles, s3.Scheme):
		return ledger.Folder(s.Tiles), nil
	}
	at, err := s3.Parse(s.Tiles)
	if err != nil {
		return nil, fmt.Errorf("SB_AUDIT_TILES: %w", err)
	}
	to, err := s3.Open(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("SB_AUDIT_TILES, %s: %w", at, err)
	}
	return to, nil
}

// witnesses are the outside witnesses of the policy, if there is one, and its quorum.
func (s settings) witnesses(keys []string) ([]ledger.Witness, ledger.Quorum, error) {
	if s.WitnessPolicy == "" {
		return nil, nil, nil
	}
	f, err := os.Open(s.WitnessPolicy)
	if err != nil {
		return nil, nil, fmt.Errorf("SB_WITNESS_POLICY: %w", err)
	}
	defer f.Close()
	policy, err := io.ReadAll(io.LimitReader(f, transparency.MaxPolicy+1))
	if err != nil {
		return nil, nil, fmt.Errorf("SB_WITNESS_POLICY: %w", err)
	}
	witnesses, quorum, err := ledger.Witnesses(policy, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("SB_WITNESS_POLICY, %s: %w", s.WitnessPolicy, err)
	}
	return witnesses, quorum, nil
}

// folded is the audit, as the keeper compares it with the log.
type folded struct{ progress *projections.Progress }

// Position implements [ledger.Audit].
func (f folded) Position(ctx context.Context) (events.Seq, error) {
	at, err := f.progress.Position(ctx)
	return at.Seq, err
}

// Leaves implements [ledger.Audit].
func (f folded) Leaves(ctx context.Context, after events.Seq, limit int) ([]tlog.Hash, error) {
	return f.progress.Leaves(ctx, after, limit)
}
