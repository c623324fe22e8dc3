package patience

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPauseDoublesUpToTheLongest(t *testing.T) {
	const first, most = 100 * time.Millisecond, 500 * time.Millisecond
	for i, whole := range []time.Duration{first, 2 * first, 4 * first, most, most} {
		seen := map[time.Duration]bool{}
		for range 200 {
			pause := Pause(first, most, i+1)
			if pause < whole/2 || pause > whole {
				t.Fatalf("pause %d is %v, of %v", i+1, pause, whole)
			}
			seen[pause] = true
		}
		if len(seen) < 10 {
			t.Errorf("pause %d has %d lengths", i+1, len(seen))
		}
	}
}

func TestRetryAfterInItsTwoForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock stands at a whole second
		for text, want := range map[string]time.Duration{
			"": 0, "soon": 0, "-1": 0, "0": 0, "1.5": 0, "7": 7 * time.Second, "9223372036854775807": 1 << 20 * time.Second,
			time.Now().Add(time.Minute).UTC().Format(http.TimeFormat):  time.Minute,
			time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
		} {
			if got := RetryAfter(http.Header{"Retry-After": {text}}); got != want {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Wait(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := Wait(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
