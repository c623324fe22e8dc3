package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/ledger/ledgertest"
	"secretsbridge/transparency"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// rig is a log with a keeper's surroundings.
type rig struct {
	t       *testing.T
	log     *commandtest.Memory
	feed    *feed
	audit   *audit
	kept    *ledgertest.Checkpoints
	signer  *transparency.Signer
	public  string
	leases  *workertest.Leases
	origin  string
	private string

	within context.Context // that ends what is run, beside the test's; nil: the test's alone
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log := &commandtest.Memory{}
	r := &rig{t: t, log: log, feed: &feed{Memory: log}, audit: &audit{log: log}, kept: &ledgertest.Checkpoints{}, leases: &workertest.Leases{}, origin: "log.example/a"}
	var err error
	if r.private, r.public, err = transparency.GenerateKey(r.origin); err != nil {
		t.Fatal(err)
	}
	if r.signer, err = transparency.NewSigner(r.private); err != nil {
		t.Fatal(err)
	}
	return r
}

// config is what a keeper of this log works with.
func (r *rig) config() ledger.Config {
	verifiers, err := transparency.NewVerifiers(r.public)
	if err != nil {
		r.t.Fatal(err)
	}
	return ledger.Config{
		Feed: r.feed, Audit: r.audit, Checkpoints: r.kept, Verifiers: verifiers,
		Signer: func(time.Time) (*transparency.Signer, error) { return r.signer, nil },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// fill appends commits.
func (r *rig) fill(n int) {
	r.t.Helper()
	for i := range n {
		stream := events.Stream{Aggregate: events.AggregateSetting, ID: "kms"}
		meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: time.Now()}
		if _, err := command.Record(r.t.Context(), r.log, stream, meta, events.KMSKeyRotated{KMSKey: fmt.Sprint("key ", i)}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// hashes are those of the log's first commits, as package tlog keeps them.
func (r *rig) hashes(size int64) tlog.HashReader {
	r.t.Helper()
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		got := make([]tlog.Hash, len(at))
		for i, n := range at {
			got[i] = hashes[n]
		}
		return got, nil
	})
	for i := range size {
		c, err := r.log.At(r.t.Context(), events.Seq(i+1))
		if err != nil {
			r.t.Fatal(err)
		}
		more, err := tlog.StoredHashes(i, c.Raw, read)
		if err != nil {
			r.t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	return read
}

// tree is the tree of the log's first commits, by the reference.
func (r *rig) tree(size int64) tlog.Tree {
	r.t.Helper()
	root, err := tlog.TreeHash(size, r.hashes(size))
	if err != nil {
		r.t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// ReadTiles implements [transparency.Tiles].
func (r *rig) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	last, err := r.log.Last(ctx)
	if err != nil {
		return nil, err
	}
	hashes := r.hashes(int64(last))
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if data[i], err = tlog.ReadTileData(tile, hashes); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// signed is a checkpoint of a tree, as another server of this log signs it.
func (r *rig) signed(tree tlog.Tree) ledger.Checkpoint {
	r.t.Helper()
	text, err := r.signer.Sign(tree)
	if err != nil {
		r.t.Fatal(err)
	}
	return ledger.Checkpoint{Tree: tree, Signed: text, At: time.Now()}
}

// run runs a keeper and its loops, each in terms of its own, until the test ends. The error is
// what it ends with.
func (r *rig) run(cfg ledger.Config) (*ledger.Keeper, func() error) {
	k := ledger.New(cfg)
	within := r.within
	if within == nil {
		within = r.t.Context()
	}
	ctx, cancel := context.WithCancel(within)
	ended := make(chan error, 8)
	var all sync.WaitGroup
	all.Go(func() { ended <- k.Run(ctx) })
	for _, l := range k.Loops() {
		all.Go(func() {
			for ctx.Err() == nil {
				lease, err := r.leases.Take(ctx, l.Name)
				if err != nil {
					return
				}
				if err := l.Run(ctx, worker.NewTerm(lease)); errors.Is(err, command.ErrLogUnsafe) {
					ended <- err
					return
				}
				_ = lease.Release(context.WithoutCancel(ctx))
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	r.t.Cleanup(func() { cancel(); all.Wait() })
	var first error
	return k, func() error {
		select {
		case err := <-ended:
			if first == nil {
				first = err
			}
		default:
		}
		return first
	}
}

// settle lets a while pass, on the clock of a test that has one of its own.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// feed is a log that somebody may tamper with.
type feed struct {
	*commandtest.Memory

	mu   sync.Mutex
	edit map[events.Seq]func(*events.Recorded)
	end  *events.Seq // where it says that it ends, unless nil
}

func (f *feed) change(seq events.Seq, edit func(*events.Recorded)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.edit == nil {
		f.edit = map[events.Seq]func(*events.Recorded){}
	}
	f.edit[seq] = edit
}

func (f *feed) cut(end events.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = &end
}

func (f *feed) edited(c *events.Recorded) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if edit := f.edit[c.Seq]; edit != nil {
		edit(c)
	}
}

func (f *feed) Last(ctx context.Context) (events.Seq, error) {
	f.mu.Lock()
	end := f.end
	f.mu.Unlock()
	if end != nil {
		return *end, nil
	}
	return f.Memory.Last(ctx)
}

func (f *feed) At(ctx context.Context, seq events.Seq) (events.Recorded, error) {
	c, err := f.Memory.At(ctx, seq)
	f.edited(&c)
	return c, err
}

func (f *feed) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	return f.Memory.Follow(ctx, after, limit, func(ctx context.Context, commits []events.Recorded) error {
		for i := range commits {
			f.edited(&commits[i])
		}
		return deliver(ctx, commits)
	})
}

// flip changes one bit of a commit.
func flip(c *events.Recorded) {
	c.Raw = append([]byte{}, c.Raw...)
	c.Raw[len(c.Raw)/2] ^= 1
}

// audit has folded all of the log, or what it is told.
type audit struct {
	log  *commandtest.Memory
	upTo atomic.Pointer[events.Seq]
	edit map[events.Seq]tlog.Hash
	lost events.Seq
}

func (a *audit) set(upTo *events.Seq) { a.upTo.Store(upTo) }

func (a *audit) Position(ctx context.Context) (events.Seq, error) {
	if upTo := a.upTo.Load(); upTo != nil {
		return *upTo, nil
	}
	return a.log.Last(ctx)
}

func (a *audit) Leaves(ctx context.Context, after events.Seq, limit int) ([]tlog.Hash, error) {
	var leaves []tlog.Hash
	last, err := a.log.Last(ctx)
	for seq := after + 1; seq <= last && len(leaves) < limit; seq++ {
		c, err := a.log.At(ctx, seq)
		if err != nil {
			return nil, err
		}
		if seq == a.lost {
			return nil, fmt.Errorf("%w: the audit has no commit %d", command.ErrLogUnsafe, seq)
		}
		leaf := transparency.LeafHash(c.Raw)
		if other, ok := a.edit[seq]; ok {
			leaf = other
		}
		leaves = append(leaves, leaf)
	}
	return leaves, err
}
