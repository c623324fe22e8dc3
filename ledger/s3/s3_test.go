package s3_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"secretsbridge/ledger"
	"secretsbridge/ledger/ledgertest"
	"secretsbridge/ledger/s3"
	"secretsbridge/test/servers/awsjson"
	server "secretsbridge/test/servers/s3"
)

// open is a store in a bucket that the SDK's chain and environment lead to.
func open(t *testing.T, at s3.Place) (*s3.Store, *server.Server) {
	t.Helper()
	awsjson.SignIn(t)
	fake := server.Start(t, "audit-log")
	t.Setenv("AWS_ENDPOINT_URL_S3", fake.Address)
	store, err := s3.Open(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return store, fake
}

func inPrefix(t *testing.T) (*s3.Store, *server.Server) {
	return open(t, s3.Place{Bucket: "audit-log", Prefix: "prod/log"})
}

func TestObjectsInABucket(t *testing.T) {
	for _, prefix := range []string{"", "prod/log"} {
		store, fake := open(t, s3.Place{Bucket: "audit-log", Prefix: prefix})
		ledgertest.RunObjects(t, store)
		key := strings.TrimPrefix(prefix+"/commits/000", "/")
		if n := fake.Puts(key); n != 1 {
			t.Errorf("%s was written %d times", key, n)
		}
	}
}

func TestTheNeighboursOfAPrefixAreNotSeen(t *testing.T) {
	store, _ := inPrefix(t)
	other, err := s3.Open(t.Context(), s3.Place{Bucket: "audit-log", Prefix: "prod/log2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Replace(t.Context(), "photo", nil); err != nil {
		t.Fatal(err)
	}
	if top, err := store.Top(t.Context()); err != nil || len(top) > 0 {
		t.Errorf("%q, %v", top, err)
	}
}

// An answer that is lost, two writers at once and a store that is busy for a moment show in nothing:
// each object is written once.
func TestCallsAreRepeated(t *testing.T) {
	for _, fault := range []server.Fault{server.Lost, server.Conflict, server.SlowDown} {
		store, fake := inPrefix(t)
		fake.Break(fault, 1)
		if err := store.Make(t.Context(), "commits/000", strings.NewReader("one\n")); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		if n := fake.Puts("prod/log/commits/000"); n != 1 {
			t.Errorf("%s: written %d times", fault, n)
		}
		fake.Break(server.Lost, 1)
		if err := store.Replace(t.Context(), "checkpoint", []byte("c\n")); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		fake.Break(server.Lost, 1)
		if err := store.Remove(t.Context(), "checkpoint"); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	for fault, want := range map[server.Fault]string{
		server.Denied:     "s3:PutObject",
		server.Elsewhere:  "set AWS_REGION",
		server.Overwrites: "use a store with conditional writes",
	} {
		store, fake := inPrefix(t)
		fake.Break(fault, -1)
		err := store.Make(t.Context(), "commits/000", strings.NewReader("one\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), awsjson.SecretKey) || strings.Contains(err.Error(), awsjson.AccessKey) {
			t.Errorf("%s: %v", fault, err)
		}
		fake.Break(server.None, 0)
		if fault == server.Overwrites {
			continue
		}
		if err := store.Make(t.Context(), "commits/000", strings.NewReader("one\n")); err != nil {
			t.Errorf("after %s: %v", fault, err)
		}
	}
	store, _ := open(t, s3.Place{Bucket: "no-such-bucket", Prefix: "log"})
	for what, err := range map[string]error{
		"put":  store.Replace(t.Context(), "checkpoint", nil),
		"list": func() error { _, err := store.Top(t.Context()); return err }(),
		"get":  func() error { _, err := store.Open(t.Context(), "checkpoint"); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "make it, or set SB_AUDIT_TILES") || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s in no bucket: %v", what, err)
		}
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
	store, err := s3.Open(t.Context(), s3.Place{Bucket: "audit-log"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Top(t.Context()); err == nil || !strings.Contains(err.Error(), "other AWS credentials") || strings.Contains(err.Error(), "another-secret") {
		t.Errorf("with another secret: %v", err)
	}
}

// A store that stays busy is given up after some tries, and what it said is told.
func TestABusyStore(t *testing.T) {
	store, fake := inPrefix(t)
	fake.Break(server.SlowDown, -1)
	_, err := store.Top(t.Context())
	if err == nil || !strings.Contains(err.Error(), "503 SlowDown") {
		t.Error(err)
	}
}

func TestAnObjectThatIsCutShort(t *testing.T) {
	store, fake := inPrefix(t)
	if err := store.Replace(t.Context(), "checkpoint", []byte("a checkpoint\n")); err != nil {
		t.Fatal(err)
	}
	fake.Break(server.CutAnswer, 1)
	r, err := store.Open(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("read %q", got)
	}
}

func TestAnObjectOfSomebodyElse(t *testing.T) {
	store, fake := inPrefix(t)
	if err := store.Replace(t.Context(), "commits/000", []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	if err := store.Make(t.Context(), "commits/000", strings.NewReader("ours")); !errors.Is(err, ledger.ErrOtherObject) {
		t.Error(err)
	}
	if n := fake.Puts("prod/log/commits/000"); n != 1 {
		t.Errorf("written %d times", n)
	}
}

func TestPlaces(t *testing.T) {
	for text, want := range map[string]s3.Place{
		"s3://audit-log":           {Bucket: "audit-log"},
		"s3://audit-log/":          {Bucket: "audit-log"},
		"s3://audit.log/a":         {Bucket: "audit.log", Prefix: "a"},
		"s3://audit-log/prod/a.b/": {Bucket: "audit-log", Prefix: "prod/a.b"},
	} {
		if got, err := s3.Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "s3://", "s3:///a", "s3://Audit/a", "s3://a/b", "s3://audit-log//a", "s3://audit-log/../a", "s3://audit-log/a//b", "s3://audit-log/./a",
		"s3://key:secret@audit-log/a", "s3://audit-log/a?x=1", "s3://audit-log/a b", "/audit-log/a",
	} {
		if got, err := s3.Parse(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": "http://minio.example:9000", "AWS_REGION": ""} {
		awsjson.SignIn(t)
		t.Setenv("AWS_ENDPOINT_URL_S3", "")
		t.Setenv(name, value)
		if _, err := s3.Open(t.Context(), s3.Place{Bucket: "audit-log"}); err == nil {
			t.Errorf("%s=%q is taken", name, value)
		}
	}
}
