package ledger

import (
	"maps"
	"time"
)

// Stats is what a server knows of the proof.
type Stats struct {
	Size      int64     // commits that were read and proven
	Signed    int64     // of the largest checkpoint that was compared; 0 if there is none
	SignedAt  time.Time // of that one
	Scrub     ScrubStats
	Tiles     TilesStats
	Witnesses map[string]WitnessStats // by the names of their keys, also those that were never heard
}

// WitnessStats is what this server knows of an outside witness since it started.
type WitnessStats struct {
	Size     int64     // that it cosigned last for this server
	At       time.Time // when
	Cosigned int       // how often
	Failing  bool      // it did not cosign when it was asked last

	Contradicts bool // it claims another history, and has not cosigned since
}

// ScrubStats is how the reading of the whole log stands.
type ScrubStats struct {
	Done    int64     // commits of the pass that runs, or of the last one
	Of      int64     // commits of that pass
	EndedAt time.Time // when a pass last ended well; zero if none did
	Passes  int
}

// TilesStats is how the export of tiles stands.
type TilesStats struct {
	Size int64     // of the checkpoint that was exported last, or found there
	At   time.Time // when
}

// Stats tells how the proof stands.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.stats
	s.Size, s.Signed, s.SignedAt = k.roots.size, k.seen.Tree.N, k.seen.At
	s.Witnesses = maps.Clone(k.witnessed)
	return s
}

// measure notes what became of asking a witness.
func (k *Keeper) measure(witness string, note func(*WitnessStats)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.witnessed[witness]
	note(&s)
	k.witnessed[witness] = s
}
