package nats

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The server answers a pull for two seconds whether anyone still listens or not. A job
// that comes to an agent which has just stopped must not wait for its lease.
func TestAJobThatComesTooLateGoesToAnother(t *testing.T) {
	n := newNetwork(t, 0) // a lease of 30 seconds
	leaving, staying := n.enrol(t, "late"), n.enrol(t, "late")
	for name, stop := range map[string]func(closed func()){
		"and its link ends":     func(closed func()) { go closed() },
		"and its link stays up": func(func()) {},
	} {
		t.Run(name, func(t *testing.T) {
			l := n.link(t, leaving)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Next: %v", err)
			}
			stop(l.Close)
			time.Sleep(200 * time.Millisecond) // long enough for an inbox to be given up
			n.publish(t, "late", "j_1")
			began := time.Now()
			d := next(t, n.link(t, staying), "j_1")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the job came after %s", took)
			}
			if err := d.Done(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
