package transparency_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

func key(t *testing.T, origin string) (signing, verifying string) {
	t.Helper()
	s, v, err := transparency.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestACheckpointOpensByEitherKeyOfARotation(t *testing.T) {
	first, firstPublic := key(t, "log.example/a")
	second, secondPublic := key(t, "log.example/a")
	_, other := key(t, "log.example/a")
	signer, err := transparency.NewSigner(second, first)
	if err != nil {
		t.Fatal(err)
	}
	tree := tlog.Tree{N: 7, Hash: transparency.LeafHash([]byte("x"))}
	signed, err := signer.Sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    string
		signed []byte
		opens  bool
	}{
		"the new key":      {secondPublic, signed, true},
		"the old key":      {firstPublic, signed, true},
		"another key":      {other, signed, false},
		"another size":     {secondPublic, bytes.Replace(signed, []byte("\n7\n"), []byte("\n8\n"), 1), false},
		"an added line":    {secondPublic, bytes.Replace(signed, []byte("\n\n"), []byte("\nmore\n\n"), 1), false},
		"nothing":          {secondPublic, nil, false},
		"no signed note":   {secondPublic, []byte("hello\n"), false},
		"another's origin": {secondPublic, bytes.Replace(signed, []byte("log.example/a\n"), []byte("log.example/b\n"), 1), false},
	} {
		verifiers, err := transparency.NewVerifiers(c.key)
		if err != nil {
			t.Fatal(err)
		}
		got, origin, err := verifiers.Open(c.signed)
		if c.opens && (err != nil || got != tree || origin != "log.example/a") {
			t.Errorf("%s: %v of %q, %v", name, got, origin, err)
		}
		if !c.opens && !errors.Is(err, transparency.ErrCheckpoint) {
			t.Errorf("%s: %v, want ErrCheckpoint", name, err)
		}
	}
	third, _ := key(t, "log.example/b")
	if _, err := transparency.NewSigner(first, third); err == nil {
		t.Error("keys of two logs made one signer")
	}
}
