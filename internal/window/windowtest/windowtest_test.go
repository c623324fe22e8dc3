package windowtest_test

import (
	"testing"
	"time"

	"secretsbridge/internal/window"
	"secretsbridge/internal/window/windowtest"
)

func TestMemoryIsAKeeperOfWindows(t *testing.T) {
	windowtest.Suite(t, func(_ *testing.T, rates window.Rates, now func() time.Time) (one, two windowtest.Windows) {
		shared := &windowtest.Memory{Rates: rates, Now: now}
		return shared, shared
	})
}
