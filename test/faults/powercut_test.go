package faults_test

import (
	"fmt"
	"testing"

	"secretsbridge/events"
)

// powerOfLog cuts the power of the disk that the log lies on while commits are appended. Half of
// the cuts tear: of what was not synced, each page may have reached the disk.
func powerOfLog(t *testing.T, w world) (string, error) {
	d := newDisk(t)
	book := logBook{acked: map[events.Seq]string{}}
	lost := 0
	for n := range w.trials + 1 { // the last one only looks
		err := book.live(t, d.mount, !w.control, 20+w.random.IntN(60), func(pid int) {
			command := "cut"
			if n%2 == 1 {
				command = fmt.Sprintf("tear %d", w.random.Uint64())
			}
			var pages int
			if _, err := fmt.Sscanf(d.tell(t, "%s", command), "lost %d", &pages); err != nil {
				t.Fatal(err)
			}
			lost += pages
			killNine(pid)
		})
		d.tell(t, "on")
		if err != nil {
			return "", fmt.Errorf("cut %d: %w", n, err)
		}
	}
	return fmt.Sprintf("%d acknowledged commits, all there after each cut; %d pages that were not synced were lost", len(book.acked), lost), nil
}
