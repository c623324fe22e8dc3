package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/web/api"
)

// onSmall starts a plant and moves one of its folders to a small disk.
func onSmall(t *testing.T, folder string, megabytes int) *plant {
	t.Helper()
	p := start(t)
	p.stop(t)
	path := filepath.Join(p.dir, folder)
	if err := os.Rename(path, path+".before"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", megabytes)); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		p.stop(t)
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
	})
	if out, err := output(t, time.Minute, "cp", "-a", path+".before/.", path); err != nil {
		t.Fatalf("move a folder: %v: %s", err, out)
	}
	p.up(t)
	return p
}

// fill takes all but a few bytes of a disk, and returns what gives them back.
func fill(t *testing.T, path string, leave int64) (free func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(path, "ballast")
	room := int64(st.Bavail)*st.Bsize - leave
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, room); err != nil {
		t.Fatalf("fill a disk: %v", err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

// fullLog fills the disk of NATS under a server that works.
func fullLog(t *testing.T, w world) (string, error) {
	p := onSmall(t, "nats", 48)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	taken := 0
	var slowest time.Duration
	for n := range w.trials {
		waits := life{reason: "waits " + fresh()}
		r := waits.ready(ctx, p)
		free := fill(t, filepath.Join(p.dir, "nats"), 64<<10)
		var acked []string // reasons of what was acknowledged, or for the control of what was sent
		refused := 0
		for end := time.Now().Add(30 * time.Second); refused < 5 && time.Now().Before(end); {
			reason, began := "full "+fresh(), time.Now()
			status, _ := p.call("developer", "POST", "/requests", fresh(), api.Submit{Secret: secret, Keys: []string{"password"}, Reason: reason}, nil)
			if status >= 200 && status < 300 || w.control {
				acked = append(acked, reason)
			}
			if status == 0 {
				return "", fmt.Errorf("fill %d: a call had no answer within %s", n, time.Since(began))
			}
			if status >= 500 {
				refused++
				slowest = max(slowest, time.Since(began))
			}
		}
		if refused < 5 {
			t.Fatal("the disk does not become full")
		}
		var value api.Revealed
		path := "/requests/" + waits.id + "/envelopes/" + r.Envelopes[0].ID + "/reveal"
		if status, _ := p.call("developer", "POST", path, fresh(), p.reveal, &value); status == http.StatusOK {
			return "", fmt.Errorf("fill %d: a value was revealed although no fact could be kept", n)
		}
		free()
		p.stop(t) // it may have ended by itself: its log was unsafe
		p.up(t)
		made, err := requests(p)
		if err != nil {
			return "", err
		}
		for _, reason := range acked {
			if made[reason] != 1 {
				return "", fmt.Errorf("fill %d: a request that was acknowledged is there %d times", n, made[reason])
			}
		}
		taken += len(acked)
		if status := waits.insist(ctx, p, "developer", "POST", path, p.reveal, &value); status != http.StatusOK {
			return "", fmt.Errorf("fill %d: the value that was not shown is not there after the restart: %d", n, status)
		}
	}
	return fmt.Sprintf("%d acknowledged requests are there; refusals within %.1f s; nothing revealed meanwhile, and no value burnt", taken, slowest.Seconds()), nil
}

// fullPostgres fills the disk of Postgres under a server that works, and gives the room back.
func fullPostgres(t *testing.T, w world) (string, error) {
	p := onSmall(t, "postgres", 192)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	var all []life
	for range w.trials {
		free := fill(t, filepath.Join(p.dir, "postgres"), 128<<10)
		done := make(chan []life, 1)
		go func() { done <- lives(ctx, p, p.reveal, 12, 6) }()
		// The room lasts until Postgres wants its next segment of the write-ahead log.
		_ = p.psql(ctx, "SELECT pg_switch_wal()")
		if !within(ctx, 20*time.Second, func() bool {
			var page api.Page[api.Request]
			status, _ := p.call("admin", "GET", "/requests?limit=1", "", nil, &page)
			return status >= 500
		}) {
			t.Fatal("nobody notices that the disk is full")
		}
		time.Sleep(2 * time.Second)
		free()
		all = append(all, <-done...)
	}
	seen, broken := judge(p, all)
	if broken != nil {
		return "", broken
	}
	if w.control { // a row that is lost is to be seen
		if err := p.psql(ctx, "DELETE FROM views.requests WHERE ctid = (SELECT min(ctid) FROM views.requests)"); err != nil {
			t.Fatal(err)
		}
	}
	p.stop(t)
	if err := p.verify(); err != nil {
		return "", err
	}
	return seen + "; caught up by itself, and views equal a rebuild byte for byte", nil
}

// psql runs a statement as the owner of the private Postgres.
func (p *plant) psql(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, "host='"+filepath.Join(p.dir, "postgres", "run")+"' user=postgres dbname=secretsbridge")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
