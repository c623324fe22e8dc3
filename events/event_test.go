package events_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
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

// TestEveryFactEverWrittenDecodes walks testdata: stored commits of each type in the
// catalogue, one for each time that it gained optional fields: TYPE.json, TYPE.2.json and
// so on. A file, once there, is history and may not change; the newest shows every field.
func TestEveryFactEverWrittenDecodes(t *testing.T) {
	for _, kind := range events.Catalogue() {
		t.Run(kind.Type, func(t *testing.T) {
			files := goldenFiles(t, kind)
			var newest events.Event
			for _, path := range files {
				newest = decodesAsItWas(t, kind, path)
			}
			if diff := cmp.Diff(sample(kind), newest); diff != "" {
				if !*update {
					t.Fatalf("the newest file does not show every field; run go test ./events -update (-want +got):\n%s", diff)
				}
				path := filepath.Join("testdata", kind.Type+".json")
				if len(files) > 0 {
					path = filepath.Join("testdata", fmt.Sprintf("%s.%d.json", kind.Type, len(files)+1))
				}
				if err := os.WriteFile(path, encode(t, sample(kind)), 0o644); err != nil {
					t.Fatal(err)
				}
				decodesAsItWas(t, kind, path)
			}
		})
	}
}

// goldenFiles are the stored commits of a type, oldest first.
func goldenFiles(t *testing.T, kind events.Kind) (files []string) {
	t.Helper()
	for n := 1; ; n++ {
		path := filepath.Join("testdata", kind.Type+".json")
		if n > 1 {
			path = filepath.Join("testdata", fmt.Sprintf("%s.%d.json", kind.Type, n))
		}
		if _, err := os.Stat(path); err != nil {
			return files
		}
		files = append(files, path)
	}
}

// decodesAsItWas reads a stored commit and encodes it again into the same bytes.
func decodesAsItWas(t *testing.T, kind events.Kind, path string) events.Event {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := events.Decode(raw)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if got := reflect.TypeOf(commit[0].Fact); got != kind.Go {
		t.Errorf("%s decodes into %v, want %v", path, got, kind.Go)
	}
	if diff := cmp.Diff(string(raw), string(encode(t, commit[0]))); diff != "" {
		t.Errorf("the encoding of %s changed; give the fact a new version (-stored +now):\n%s", path, diff)
	}
	return commit[0]
}

func TestTestdataHoldsNothingUnknown(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, kind := range events.Catalogue() {
		known += len(goldenFiles(t, kind))
	}
	if len(files) != known {
		t.Errorf("%d files, of which %d are facts", len(files), known)
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
		if err != nil {
			var unknown *events.UnknownTypeError
			if commit != nil || !errors.Is(err, events.ErrMalformed) && !errors.As(err, &unknown) {
				t.Errorf("refused with %v and %d events", err, len(commit))
			}
			return
		}
		if len(commit) == 0 {
			t.Error("decoded into nothing")
		}
		// Readers take a little more than writers make: two streams in one commit.
		written, err := events.Encode(commit)
		if err != nil {
			return
		}
		again, err := events.Decode(written)
		if err != nil {
			t.Fatalf("%q is written as %q, which does not decode: %v", raw, written, err)
		}
		if twice, err := events.Encode(again); err != nil || !bytes.Equal(written, twice) {
			t.Errorf("%q is written as %q, and then as %q, %v", raw, written, twice, err)
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
	case v.Type() == reflect.TypeFor[events.Seq]():
		v.SetUint(3)
	case v.Kind() == reflect.Int:
		v.SetInt(int64(len(name)))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes([]byte("a " + strings.ToLower(name)))
	case v.Type() == reflect.TypeFor[[]events.Object]():
		v.Set(reflect.ValueOf(everyObject()))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case v.Kind() == reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, name)
		fill(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name)
		}
	default:
		panic("sample does not know " + v.Type().String())
	}
}

// everyObject is an object of each kind, with every field.
func everyObject() []events.Object {
	specs := []any{
		&events.Role{}, &events.Team{}, &events.Group{}, &events.Project{}, &events.Binding{}, &events.WorkflowSpec{}, &events.Rule{}, &events.Settings{},
	}
	objects := make([]events.Object, len(events.ObjectKinds))
	for i, kind := range events.ObjectKinds {
		spec := reflect.ValueOf(specs[i]).Elem()
		fill(spec, spec.Type().Name())
		objects[i] = events.Object{Kind: kind, Name: "name", Spec: spec.Interface().(events.Spec)}
	}
	return objects
}
