package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// entry is a file of an image, or a folder where content is nil.
type entry struct {
	path    string // without a slash at its beginning
	mode    int64
	owned   bool // by the account; else by root
	content []byte
}

// baseFiles are what every image has, and the folder of the program.
func baseFiles(p Program, o Options) []entry {
	home := p.Home
	if home == "" {
		home = "/nonexistent"
	}
	entries := []entry{
		{path: "etc", mode: 0o755},
		{path: "etc/passwd", mode: 0o444, content: fmt.Appendf(nil, "root:x:0:0:root:/nonexistent:/nonexistent\nnonroot:x:%d:%d:%s:%s:/nonexistent\n", UID, GID, p.Name, home)},
		{path: "etc/group", mode: 0o444, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", GID)},
		{path: "etc/ssl", mode: 0o755},
		{path: "etc/ssl/certs", mode: 0o755},
		{path: "etc/ssl/certs/ca-certificates.crt", mode: 0o444, content: authorities()},
		{path: "tmp", mode: 0o1777},
		{path: "usr", mode: 0o755},
		{path: "usr/local", mode: 0o755},
		{path: "usr/local/bin", mode: 0o755},
		{path: "var", mode: 0o755},
		{path: "var/lib", mode: 0o755},
	}
	if p.Home != "" {
		entries = append(entries, entry{path: p.Home[1:], mode: 0o700, owned: true})
	}
	if o.Notices != nil {
		entries = append(entries,
			entry{path: "usr/share", mode: 0o755},
			entry{path: "usr/share/doc", mode: 0o755},
			entry{path: "usr/share/doc/secrets-bridge", mode: 0o755},
			entry{path: "usr/share/doc/secrets-bridge/LICENCES", mode: 0o444, content: o.Notices})
	}
	return entries
}

// authorities are the roots of Mozilla's program as the Go team publishes them, whose bytes go.sum
// pins. Those that count only for certificates of before some day are left out, because a PEM file
// cannot say so.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return b.Bytes()
}

// pack writes entries as a tar, and returns how to read it.
func pack(entries []entry, created time.Time) (func() io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.path, Mode: e.mode, ModTime: created.UTC().Truncate(time.Second), Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Size: int64(len(e.content))}
		if e.content == nil {
			h.Name, h.Typeflag = path.Clean(e.path)+"/", tar.TypeDir
		}
		if e.owned {
			h.Uid, h.Gid = UID, GID
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", e.path, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", e.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b.Bytes())) }, nil
}

// checkBinary refuses what cannot run in an image that has nothing but it: another architecture,
// and a program that wants a loader.
func checkBinary(binary []byte, arch string) error {
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("the program is no ELF file: %w", err)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; file.Machine != want {
		return fmt.Errorf("the program is of %s, and the image of %s", file.Machine, arch)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the program is linked dynamically, and an image has no loader: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
