package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"secretsbridge/events"
	"secretsbridge/nats"
)

// writerLabel is what the key of the log's MACs is derived for. No connection has such a name, so
// it is no key of fingerprints.
const writerLabel = "log writer"

// writerFile says from which commit on the log needs MACs of its writer. The key is not in it.
const writerFile = "writer.json"

// writerDocument is writer.json of the keyring.
type writerDocument struct {
	Format int        `json:"format"` // 1
	From   events.Seq `json:"from"`   // 1 or more
}

// readWriter reads from which commit on MACs are needed. It is 0 where nothing says so yet: in a
// new installation, and in one of a version that wrote none.
func readWriter(ctx context.Context, ring keyring) (events.Seq, error) {
	raw, _, err := ring.Read(ctx, writerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var doc writerDocument
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil || doc.Format != 1 || doc.From == 0 {
		return 0, fmt.Errorf("%s is damaged or of a newer version: bring it back from a backup", ring.Where(writerFile))
	}
	return doc.From, nil
}

// openWriter derives the key of the log's MACs from the key manager, which all servers of an
// installation share and NATS does not hold. Where nothing says from which commit on they are
// needed, it is the next one, from now on.
func (st *stack) openWriter(ctx context.Context) (*nats.Writer, error) {
	if err := st.beginWriter(ctx); err != nil {
		return nil, err
	}
	key, err := st.keys.wrapping.FingerprintKey(ctx, writerLabel)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the log's writer: %w", err)
	}
	return nats.NewWriter(key.Expose(), st.keys.writerFrom)
}

// beginWriter sees to it that the ring says from where on MACs are needed. Another server may say
// so first.
func (st *stack) beginWriter(ctx context.Context) (err error) {
	ring := st.keys.ring
	if st.keys.writerFrom == 0 {
		st.keys.writerFrom, err = readWriter(ctx, ring)
	}
	if err != nil || st.keys.writerFrom > 0 {
		return err
	}
	from, begun := nats.BeginWriter(ctx, st.core)
	if begun == nil {
		_, err = putKey(ctx, ring, writerFile, 0, writerDocument{Format: 1, From: from})
		if err == nil {
			if st.keys.writerFrom = from; from > 1 {
				st.log.Info("from here on each commit of the log has a MAC of its writer, and one without is refused", "seq", from)
			}
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	// Another server has said it, or it was lost.
	if st.keys.writerFrom, err = readWriter(ctx, ring); err == nil && st.keys.writerFrom == 0 {
		err = fmt.Errorf("%s is missing: %w: bring it back from a backup", ring.Where(writerFile), begun)
	}
	return err
}
