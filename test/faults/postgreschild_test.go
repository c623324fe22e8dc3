package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

// postgresChild makes this binary a process that holds the product's private Postgres in a folder:
// it prints "has N" of each row that is there, "open", and inserts rows until it is killed, with
// "ack N" after each commit. rowsSync is on, or off: then Postgres acknowledges first.
const (
	postgresChild = "SB_FAULTS_POSTGRES"
	rowsSync      = "SB_FAULTS_POSTGRES_SYNC"
)

func runPostgresChild(dir string) error {
	ctx := context.Background()
	private, err := postgres.StartPrivate(ctx, postgres.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer private.Stop()
	conn, err := pgx.Connect(ctx, private.OwnerDSN())
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS kept (n bigint PRIMARY KEY, filling text)"); err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	rows, err := conn.Query(ctx, "SELECT n FROM kept ORDER BY n")
	if err != nil {
		return err
	}
	last := 0
	for rows.Next() {
		if err := rows.Scan(&last); err != nil {
			return err
		}
		fmt.Fprintln(out, "has", last)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	fmt.Fprintln(out, "open")
	if err := out.Flush(); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SET synchronous_commit = "+os.Getenv(rowsSync)); err != nil {
		return err
	}
	for n := last + 1; ; n++ {
		if _, err := conn.Exec(ctx, "INSERT INTO kept VALUES ($1, repeat('x', 200))", n); err != nil {
			return err
		}
		fmt.Println("ack", n)
	}
}

// powerOfPostgres cuts the power of the disk that Postgres lies on while rows are inserted.
func powerOfPostgres(t *testing.T, w world) (string, error) {
	d := newDisk(t)
	dir := filepath.Join(d.mount, "pg")
	acked, lost := 0, 0
	for n := range w.trials + 1 {
		cmd := exec.Command(os.Args[0])
		sync := "on"
		if w.control {
			sync = "off"
		}
		cmd.Env = append(os.Environ(), postgresChild+"="+dir, rowsSync+"="+sync)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		guard := time.AfterFunc(90*time.Second, func() { _ = cmd.Process.Kill() })
		found, opened, more, want := 0, false, 0, 30+w.random.IntN(80)
		var broken error
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, number, _ := strings.Cut(lines.Text(), " ")
			i, _ := strconv.Atoi(number)
			switch what {
			case "has":
				found++
			case "open":
				opened = true
				if found < acked {
					broken = fmt.Errorf("cut %d: %d of %d acknowledged rows are lost", n, acked-found, acked)
				}
				acked = found
			case "ack":
				acked = max(acked, i)
				if more++; more == want || broken != nil {
					command := "cut"
					if n%2 == 1 {
						command = fmt.Sprintf("tear %d", w.random.Uint64())
					}
					var pages int
					if _, err := fmt.Sscanf(d.tell(t, "%s", command), "lost %d", &pages); err != nil {
						t.Fatal(err)
					}
					lost += pages
					d.end(t, cmd.Process.Pid)
				}
			}
		}
		_ = cmd.Wait()
		guard.Stop()
		d.tell(t, "on")
		switch {
		case broken != nil:
			return "", broken
		case !opened:
			return "", fmt.Errorf("cut %d: Postgres does not open again: %s", n, lastLine(stderr.String()))
		}
	}
	return fmt.Sprintf("%d acknowledged rows, all there after each cut; %d pages that were not synced were lost", acked, lost), nil
}

// end kills a process and everybody who works on the disk, and waits until nobody does.
func (d *disk) end(t *testing.T, pid int) {
	t.Helper()
	killNine(pid)
	if !within(t.Context(), 20*time.Second, func() bool {
		nobody := true
		for _, at := range onDisk(d.mount) {
			killNine(at)
			nobody = false
		}
		return nobody
	}) {
		t.Fatal("somebody still works on a disk without power")
	}
}

// onDisk are the processes whose folder lies below a mount.
func onDisk(mount string) []int {
	var pids []int
	found, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range found {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, mount+"/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			pids = append(pids, pid)
		}
	}
	return pids
}
