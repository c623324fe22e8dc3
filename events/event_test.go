package events_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/events"
)

var update = flag.Bool("update", false, "write testdata for facts that have none; existing files are never changed")

var day = time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)

// TestEveryFactEverWrittenDecodes walks testdata: one stored commit for each type in
// the catalogue, and a second one where the type gained optional fields since. A file,
// once there, is history and may not change.
func TestEveryFactEverWrittenDecodes(t *testing.T) {
	for _, kind := range events.Catalogue() {
		t.Run(kind.Type, func(t *testing.T) {
			first := golden(t, kind.Type+".json", sample(kind))
			want := sample(kind)
			if !forgetLater(&want, first) {
				decodes(t, first, sample(kind))
				return
			}
			decodes(t, first, want)
			decodes(t, golden(t, kind.Type+".more.json", sample(kind)), sample(kind))
		})
	}
}

// golden reads a file of testdata, which -update writes where there is none.
func golden(t *testing.T, name string, e events.Event) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		raw = encode(t, e)
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatalf("%v; run go test ./events -update", err)
	}
	return raw
}

// forgetLater empties the optional fields that a stored commit does not have: it was
// written before there were any. It reports whether there is one.
func forgetLater(e *events.Event, stored []byte) (later bool) {
	fact := reflect.New(reflect.TypeOf(e.Fact)).Elem()
	fact.Set(reflect.ValueOf(e.Fact))
	for i := range fact.NumField() {
		name, options, _ := strings.Cut(fact.Type().Field(i).Tag.Get("json"), ",")
		if strings.Contains(options, "omit") && !strings.Contains(string(stored), `"`+name+`":`) {
			fact.Field(i).SetZero()
			later = true
		}
	}
	e.Fact = fact.Interface().(events.Fact)
	return later
}

func decodes(t *testing.T, raw []byte, want events.Event) {
	t.Helper()
	commit, err := events.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, commit[0]); diff != "" {
		t.Errorf("stored fact differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(string(raw), string(encode(t, commit[0]))); diff != "" {
		t.Errorf("encoding changed; give the fact a new version (-stored +now):\n%s", diff)
	}
}

func TestTestdataHoldsNothingUnknown(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, kind := range events.Catalogue() {
		known[kind.Type] = true
	}
	for _, file := range files {
		typ := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".json"), ".more")
		if !known[typ] {
			t.Errorf("%s is of no fact in the catalogue", file)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(encode(t, sample(events.Catalogue()[0])))
	tests := map[string]struct {
		raw  string
		want error
	}{
		"no JSON":             {"{", events.ErrMalformed},
		"an object":           {"{}", events.ErrMalformed},
		"an empty batch":      {"[]", events.ErrMalformed},
		"another specversion": {strings.Replace(good, `"specversion":"1.0"`, `"specversion":"0.3"`, 1), events.ErrMalformed},
		"a strange subject":   {strings.Replace(good, `"subject":"request/`, `"subject":"request.>/`, 1), events.ErrMalformed},
		"data of other shape": {strings.Replace(good, `"data":{`, `"data":{"requester":7,`, 1), events.ErrMalformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := events.Decode([]byte(tt.raw)); !errors.Is(err, tt.want) {
				t.Errorf("Decode = %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("a fact of a newer version", func(t *testing.T) {
		_, err := events.Decode([]byte(strings.Replace(good, ".v1", ".v9", 1)))
		var unknown *events.UnknownTypeError
		if !errors.As(err, &unknown) || unknown.Type != "sb.request.submitted.v9" {
			t.Errorf("Decode = %v, want an UnknownTypeError", err)
		}
	})
}

func TestEncodeRefusesWhatIsNoCommit(t *testing.T) {
	a, b := sample(events.Catalogue()[0]), sample(events.Catalogue()[1])
	b.Stream.ID = "r_other"
	other := a
	other.Command = "c_other"
	big := a
	big.Fact = events.RequestSubmitted{Reason: strings.Repeat("x", events.MaxCommitBytes)}
	for name, commit := range map[string][]events.Event{
		"nothing":      {},
		"two streams":  {a, b},
		"two commands": {a, other},
		"too much":     {big},
	} {
		if _, err := events.Encode(commit); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func TestEncodeThenDecodeIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		first := events.Event{
			ID: "c_1.0", Stream: events.RequestStream("r_1"), Time: day.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "ns"))),
			Actor: events.UserActor("u_1"), Correlation: "x_1", Command: "c_1",
			Fact: events.RequestSubmitted{
				Request: "r_1", Reason: text.Draw(t, "reason"), Ref: text.Draw(t, "ref"),
				Keys: rapid.SliceOfN(text, 1, 4).Draw(t, "keys"), PendingUntil: day,
			},
		}
		second := first
		second.ID, second.Fact = "c_1.1", events.RequestCancelled{Comment: text.Draw(t, "comment")}
		want := []events.Event{first, second}
		raw, err := events.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, kind := range events.Catalogue() {
		f.Add(encode(f, sample(kind)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		commit, err := events.Decode(raw)
		if err == nil && len(commit) == 0 {
			t.Error("decoded into nothing")
		}
	})
}

func TestDerivedIDsAreStableAndDistinct(t *testing.T) {
	if events.DeriveCommandID("ab", "c") == events.DeriveCommandID("a", "bc") {
		t.Error("parts are not kept apart")
	}
	first, again := events.JobOf("r_1"), events.JobOf("r_1")
	if first != again || first == events.JobOf("r_2") {
		t.Error("a request has one job of its own")
	}
	id := events.RequestOf(events.NewCommandID())
	if !events.ValidID(string(id), "r_") || events.ValidID(string(id), "j_") || events.ValidID("r_short", "r_") {
		t.Errorf("ValidID is wrong about %q", id)
	}
}

func encode(t testing.TB, e events.Event) []byte {
	t.Helper()
	raw, err := events.Encode([]events.Event{e})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sample fills every field of a fact, so that the golden file shows all of them.
func sample(kind events.Kind) events.Event {
	fact := reflect.New(kind.Go).Elem()
	fill(fact, kind.Go.Name())
	return events.Event{
		ID: "c_1.0", Stream: events.Stream{Aggregate: kind.Aggregate, ID: "r_1"}, Time: day,
		Actor: events.UserActor("u_1"), Correlation: "x_1", Command: "c_1", Fact: fact.Interface().(events.Fact),
	}
}

func fill(v reflect.Value, name string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(day))
	case v.Kind() == reflect.String:
		v.SetString("a " + strings.ToLower(name))
	case v.Kind() == reflect.Int:
		v.SetInt(int64(len(name)))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name)
		}
	default:
		panic("sample does not know " + v.Type().String())
	}
}
