package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"secretsbridge/events"
	"secretsbridge/nats"
)

// writerLabel is what the key of the log's MACs is derived for. No connection has such a name, so
// it is no key of fingerprints.
const writerLabel = "log writer"

// writerFile says from which commit on the log needs MACs of its writer. The key is not in it.
const writerFile = "writer.json"

// writerDocument is keys/writer.json.
type writerDocument struct {
	Format int        `json:"format"` // 1
	From   events.Seq `json:"from"`   // 1 or more
}

// readWriter reads from which commit on MACs are needed. It is 0 where nothing says so yet: in a
// new data directory, and in one of a version that wrote none.
func readWriter(dir string) (events.Seq, error) {
	path := filepath.Join(dir, writerFile)
	raw, err := readPrivate(path)
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
		return 0, fmt.Errorf("%s is damaged or of a newer version: bring it back from a backup", path)
	}
	return doc.From, nil
}

// openWriter derives the key of the log's MACs from the key manager, which all servers of an
// installation share and NATS does not hold. Where nothing says from which commit on they are
// needed, it is the next one, from now on.
func (st *stack) openWriter(ctx context.Context) (*nats.Writer, error) {
	dir := st.settings.path("keys")
	if st.keys.writerFrom == 0 {
		from, err := nats.BeginWriter(ctx, st.core)
		if err != nil {
			return nil, fmt.Errorf("%s is missing: %w: bring the file back from a backup", filepath.Join(dir, writerFile), err)
		}
		raw, err := json.Marshal(writerDocument{Format: 1, From: from})
		if err != nil {
			return nil, err
		}
		if err := writeFile(filepath.Join(dir, writerFile), append(raw, '\n'), 0o600); err != nil {
			return nil, err
		}
		if st.keys.writerFrom = from; from > 1 {
			st.log.Info("from here on each commit of the log has a MAC of its writer, and one without is refused", "seq", from)
		}
	}
	key, err := st.keys.wrapping.FingerprintKey(ctx, writerLabel)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the log's writer: %w", err)
	}
	return nats.NewWriter(key.Expose(), st.keys.writerFrom)
}
