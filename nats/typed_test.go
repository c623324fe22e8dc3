package nats

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/internal/window"
	"secretsbridge/worker"
)

// purposes are the types with which the running system keeps something in a bucket, and all
// that they export. What a method takes beyond ids, names, times, counts and hashes is
// written beside it: each such text or byte has a reason, and no other is taken.
var purposes = []struct {
	of      any
	methods map[string]string // "": nothing but those
}{
	{&Leases{}, map[string]string{"Take": "", "Vacate": ""}},
	{&Lease{}, map[string]string{"Fence": "", "Until": "", "Renew": "", "Release": ""}},
	{&Marks{}, map[string]string{
		"Begin":      "string", // the caller's key; of it and the actor a hash is kept
		"Finish":     "bytes",  // the answer, which holds no value: TestSecretsAreWhereTheyMustBeAndNowhereElse in web
		"Abandon":    "",
		"Take":       "string", // what counts once: a digest of it is kept
		"Advance":    "string", // whose number moves: likewise
		"IntakeSalt": "",       // of an hour; 32 bytes that are random
	}},
	{&Windows{}, map[string]string{
		"Limit": "",
		"Take":  "string", // who is counted; an HMAC of it is kept (TestNobodyIsNamedInNATS)
	}},
	{&Presence{}, map[string]string{"Beat": "", "Seen": ""}},
	{&Caches{}, map[string]string{"Invalidate": "", "Watch": ""}},
}

// TestNoValueCanBeStored walks every exported method of the runtime to the leaves of what it
// takes. A value of a secret is a text or bytes of any kind, so whatever cannot carry such
// things can store no value.
func TestNoValueCanBeStored(t *testing.T) {
	for _, p := range purposes {
		typ := reflect.TypeOf(p.of)
		found := map[string]string{}
		for i := range typ.NumMethod() {
			m := typ.Method(i)
			var free []string
			for j := 1; j < m.Type.NumIn(); j++ {
				free = append(free, freeIn(m.Type.In(j), nil)...)
			}
			slices.Sort(free)
			found[m.Name] = strings.Join(slices.Compact(free), " ")
		}
		if diff := cmp.Diff(p.methods, found); diff != "" {
			t.Errorf("what %s takes (-written +found):\n%s", typ, diff)
		}
		for i := range typ.Elem().NumField() {
			if f := typ.Elem().Field(i); f.IsExported() {
				t.Errorf("%s.%s can be set", typ, f.Name)
			}
		}
	}
	// The walk finds what it is for.
	for name, carries := range map[string]any{
		"string": struct{ Text *string }{}, "bytes": []map[int][]byte{}, "interface {}": func() any { return nil },
	} {
		if got := freeIn(reflect.TypeOf(carries), nil); !slices.Equal(got, []string{name}) {
			t.Errorf("in %T is found %v", carries, got)
		}
	}
}

// named are types that cannot be just anything: times, and texts and numbers that a type of
// ours names. A context is used for its end alone.
func named(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[window.Purpose](), reflect.TypeFor[Cache](), reflect.TypeFor[worker.LoopName]():
		return true
	}
	return t.PkgPath() == "context" && t.Name() == "Context" || t.PkgPath() == "secretsbridge/events" && t.Kind() == reflect.String
}

// freeIn names what of any shape a type can carry into a call.
func freeIn(t reflect.Type, seen []reflect.Type) []string {
	if named(t) || slices.Contains(seen, t) {
		return nil
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64:
		return nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Len() == 32 {
			return nil // a hash
		}
		return freeIn(t.Elem(), seen)
	case reflect.String:
		return []string{"string"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return []string{"bytes"}
		}
		return freeIn(t.Elem(), seen)
	case reflect.Pointer:
		return freeIn(t.Elem(), seen)
	case reflect.Map:
		return append(freeIn(t.Key(), seen), freeIn(t.Elem(), seen)...)
	case reflect.Func: // what it returns comes in, what it takes goes out
		var all []string
		for i := range t.NumOut() {
			all = append(all, freeIn(t.Out(i), seen)...)
		}
		return all
	case reflect.Struct:
		var all []string
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() { // others are this package's own doing
				all = append(all, freeIn(f.Type, seen)...)
			}
		}
		return all
	}
	return []string{t.String()}
}

// TestEveryBucketHasItsPurpose: a bucket that no type above stands for would have no rule.
func TestEveryBucketHasItsPurpose(t *testing.T) {
	var buckets []string
	for _, b := range bucketConfigs(1) {
		buckets = append(buckets, b.Bucket)
	}
	buckets = append(buckets, strings.TrimPrefix(windowsConfig(1).Name, "KV_"))
	slices.Sort(buckets)
	if diff := cmp.Diff([]string{"caches", "leases", "marks", "presence", "windows"}, buckets); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
}
