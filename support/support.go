// Package support makes one file of what helps somebody else to find out what is wrong: a tar of small
// documents, compressed by gzip. What each document holds is said by whoever makes the file; this
// package bounds them, and takes out of all of them what nobody is to read.
package support

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
	"unicode/utf8"
)

// Format names the file, in its manifest.
const Format = "secretsbridge support bundle v1"

// Bounds of a file.
const (
	MaxDocument = 2 << 20 // bytes of one; what is longer is cut
	MaxBundle   = 8 << 20 // bytes of all of them
	documentFor = 15 * time.Second
)

// folder is the one that all documents are in.
const folder = "support/"

// Document is one of the file. Write may fail: the file says so then, and has the others.
type Document struct {
	Name  string // such as "log.jsonl"
	About string // one sentence
	Write func(context.Context, io.Writer) error
}

// Bundle describes a file.
type Bundle struct {
	Program, Version string
	At               time.Time
	Hide             func(string) string // takes secrets out of a text
	Documents        []Document
}

// told is a document as the manifest has it.
type told struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Bytes int    `json:"bytes"`
	Cut   bool   `json:"cut,omitempty"`   // it was longer
	Error string `json:"error,omitempty"` // why it is not whole
}

// manifest is manifest.json: what is in the file, and what is not.
type manifest struct {
	Format    string    `json:"format"` // [Format]
	Program   string    `json:"program"`
	Version   string    `json:"version"`
	At        time.Time `json:"at"`
	Not       []string  `json:"not_in_it"`
	Documents []told    `json:"documents"`
}

// not is what no document has.
var not = []string{
	"values of secrets, sealed or not, and their fingerprints",
	"tokens, passwords, private keys, and values of settings that hold them",
	"names and e-mail addresses of people, and reasons of requests",
	"paths of secrets",
}

// Write makes the file. It reads one document after the other, each for 15 seconds at most.
func (b Bundle) Write(ctx context.Context, to io.Writer) error {
	m := manifest{Format: Format, Program: b.Program, Version: b.Version, At: b.At.UTC(), Not: not}
	var texts [][]byte
	left := MaxBundle
	for _, d := range b.Documents {
		text, about := b.read(ctx, d, min(left, MaxDocument))
		left -= len(text)
		m.Documents, texts = append(m.Documents, about), append(texts, text)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("make a support bundle: %w", err)
	}
	index, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("make a support bundle: %w", err)
	}
	zipped := gzip.NewWriter(to)
	files := tar.NewWriter(zipped)
	put := func(name string, text []byte) error {
		err := files.WriteHeader(&tar.Header{Name: folder + name, Mode: 0o600, Size: int64(len(text)), ModTime: m.At, Format: tar.FormatPAX})
		if err == nil {
			_, err = files.Write(text)
		}
		return err
	}
	err = put("manifest.json", append(index, '\n'))
	for i, text := range texts {
		if err == nil && len(text) > 0 {
			err = put(m.Documents[i].Name, text)
		}
	}
	if err := errors.Join(err, files.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("write a support bundle: %w", err)
	}
	return nil
}

// read makes one document, up to a bound.
func (b Bundle) read(ctx context.Context, d Document, most int) ([]byte, told) {
	ctx, cancel := context.WithTimeout(ctx, documentFor)
	defer cancel()
	about := told{Name: d.Name, About: d.About}
	text := &limited{most: most}
	err := makeOne(ctx, d, text)
	if err != nil && !errors.Is(err, errFull) {
		about.Error = b.clean(err.Error())
	}
	about.Cut = text.cut
	clean := []byte(b.clean(text.String()))
	if len(clean) > most {
		clean, about.Cut = clean[:most], true
	}
	about.Bytes = len(clean)
	return clean, about
}

// makeOne has what breaks in making a document be told like what fails.
func makeOne(ctx context.Context, d Document, to io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it broke: %v", p)
		}
	}()
	return d.Write(ctx, to)
}

// mail are addresses of people, and whatever looks like one. Nothing in a document needs one.
var mail = regexp.MustCompile(`[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)

// clean takes out what nobody is to read.
func (b Bundle) clean(text string) string {
	if !utf8.ValidString(text) { // nothing binary is looked through, so there is none
		text = string(bytes.ToValidUTF8([]byte(text), nil))
	}
	if b.Hide != nil {
		text = b.Hide(text)
	}
	return mail.ReplaceAllString(text, "[address]")
}

// errFull says that a document is as long as it may be.
var errFull = errors.New("the document is cut here")

// limited takes so many bytes and drops the rest.
type limited struct {
	bytes.Buffer
	most int
	cut  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.most - l.Len(); len(p) > room {
		l.cut = true
		_, _ = l.Buffer.Write(p[:max(0, room)])
		return max(0, room), errFull
	}
	return l.Buffer.Write(p)
}

// JSON is a document of one value.
func JSON(name, about string, of func(context.Context) (any, error)) Document {
	return Document{Name: name, About: about, Write: func(ctx context.Context, to io.Writer) error {
		value, err := of(ctx)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(to)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(value)
	}}
}
