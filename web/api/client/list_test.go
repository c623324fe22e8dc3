package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// A job that goes through pages changes more often than it is asked for, and its end is
// never missed.
func TestAJobThatIsBusyIsAskedForNowAndAgain(t *testing.T) {
	const events = 300
	var asked atomic.Int32
	var over atomic.Bool
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/jobs/j_1/stream") {
			asked.Add(1)
			state := map[bool]string{false: "running", true: "finished"}[over.Load()]
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"id":"j_1","state":%q,"seq":7}`, state)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range events {
			over.Store(i == events-1)
			fmt.Fprint(w, "id: 7\nevent: job\ndata: {}\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Millisecond)
		}
	}, nil)
	var last string
	err := client.FollowJob(t.Context(), c, "j_1", client.Follower[api.Job]{
		Changed: func(j client.Item[api.Job]) error {
			if last = j.Value.State; last == "finished" {
				return client.ErrStop
			}
			return nil
		},
		Lost: func(err error) { t.Errorf("lost: %v", err) },
	})
	if err != nil || last != "finished" {
		t.Errorf("it ended %q: %v", last, err)
	}
	if n := asked.Load(); n < 2 || n > events/5 {
		t.Errorf("it was asked for %d times", n)
	}
}

func TestEveryPageIsVisitedUpToTheLimit(t *testing.T) {
	var asked []string
	pages := map[string]string{
		"": `{"items":[1,2],"next":"a"}`, "a": `{"items":[],"next":"b"}`, "b": `{"items":[3,4,5],"next":"c"}`, "c": `{"items":[6]}`,
	}
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, pages[r.URL.Query().Get("cursor")])
	}, nil)
	for limit, want := range map[int][][]int{
		0: nil, 1: {{1}}, 4: {{1, 2}, {}, {3, 4}}, 1000: {{1, 2}, {}, {3, 4, 5}, {6}},
	} {
		var got [][]int
		err := client.Each(t.Context(), c, client.Path("secrets"), nil, limit, func(page []client.Item[int]) error {
			numbers := []int{}
			for _, item := range page {
				numbers = append(numbers, item.Value)
			}
			got = append(got, numbers)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	for limit, want := range map[int]bool{1: true, 2: true, 5: true, 6: false, 7: false} {
		if got, more, err := client.List[int](t.Context(), c, client.Path("secrets"), nil, limit); err != nil || more != want || len(got) != min(limit, 6) {
			t.Errorf("of %d it lists %d, and more: %v (%v)", limit, len(got), more, err)
		}
	}
	asked = nil
	enough := errors.New("enough")
	err := client.Each(t.Context(), c, client.Path("secrets"), nil, 9, func([]client.Item[int]) error { return enough })
	if !errors.Is(err, enough) || len(asked) != 1 || asked[0] != "limit=9" {
		t.Errorf("Each = %v after %q", err, asked)
	}
}

func TestAReportIsTakenAsItIsAndNothingElseForOne(t *testing.T) {
	const table = "secret,owner\r\nfile/a,\xff\r\n"
	for name, tt := range map[string]struct {
		kind, want string
	}{
		"a table":     {"text/csv; charset=utf-8", table},
		"JSON":        {"application/json", ""},
		"a page":      {"text/html", ""},
		"no type":     {"", ""},
		"two of them": {"text/csv, application/json", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Accept"); got != "text/csv" {
					t.Errorf("it accepts %q", got)
				}
				w.Header()["Content-Type"] = []string{tt.kind}
				fmt.Fprint(w, table)
			}, nil)
			got, err := client.CSV(t.Context(), c, client.Path("reports", "stale"), nil)
			if string(got) != tt.want || (tt.want == "") != errors.Is(err, client.ErrAnswer) {
				t.Errorf("CSV = %q, %v", got, err)
			}
		})
	}
}
