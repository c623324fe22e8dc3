package leaks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Hit is one place where a canary is, or a piece of one.
type Hit struct {
	Where  string // file, process and region, or what the caller says
	Offset int64
	Canary string // its name, or "" where the rest of it is not there
	Form   string
	Around string // what lies there, for people
}

func (h Hit) String() string {
	name := h.Canary
	if name == "" {
		name = "a piece of one"
	}
	return fmt.Sprintf("%s, at %#x: %s, as %s: %s", h.Where, h.Offset, name, h.Form, h.Around)
}

func (h Hit) same(other Hit) bool { return h.Offset == other.Offset && h.Form == other.Form }

// Search is a search for a set of canaries. It is safe for concurrent use as long as no
// canary is added.
type Search struct {
	begins [1 << 16]bool // whether a mark begins with two bytes: small enough for a cache
	marks  map[uint16][]sign
	whole  map[string][]Form
}

// sign is one form of what is looked for. Only that of a known value has a name.
type sign struct {
	Form
	name string
}

// Search prepares a search for the canaries that there are now.
func (c *Canaries) Search() *Search {
	s := &Search{marks: map[uint16][]sign{}, whole: map[string][]Form{}}
	seen := map[string]bool{}
	add := func(name, text string) {
		for _, form := range Forms(text) {
			if seen[string(form.Bytes)] {
				continue // such as both alphabets where they agree
			}
			seen[string(form.Bytes)] = true
			first := start(form.Bytes)
			s.begins[first], s.marks[first] = true, append(s.marks[first], sign{form, name})
		}
	}
	add("", c.head)
	add("", c.tail)
	for _, k := range c.known {
		add(k.name, string(k.value[:piece]))
		add(k.name, string(k.value[len(k.value)-piece:]))
	}
	for name, value := range c.values {
		s.whole[name] = Forms(value)
	}
	return s
}

func start(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

const (
	blockSize = 1 << 20
	pageSize  = 4096

	// overlap is what two blocks share, so that nothing hides between them: longer than
	// any mark, and than most canaries in most forms.
	overlap = 1 << 10
)

var zeros [pageSize]byte

// Block looks at one piece. Hits are at offsets from base.
func (s *Search) Block(where string, base int64, block []byte) []Hit {
	var hits []Hit
	for i := 0; i+1 < len(block); i++ {
		if i%pageSize == 0 && i+pageSize < len(block) && bytes.Equal(block[i:i+pageSize], zeros[:]) {
			i += pageSize - 2 // much of memory is nothing; its last byte may begin a mark
			continue
		}
		first := start(block[i:])
		if !s.begins[first] {
			continue
		}
		for _, mark := range s.marks[first] {
			if bytes.HasPrefix(block[i:], mark.Bytes) {
				hits = append(hits, s.hit(where, base, block, i, mark))
			}
		}
	}
	return hits
}

func (s *Search) hit(where string, base int64, block []byte, at int, mark sign) Hit {
	h := Hit{Where: where, Offset: base + int64(at), Form: mark.Name, Canary: mark.name}
	h.Around = fmt.Sprintf("%q", block[max(0, at-48):min(len(block), at+len(mark.Bytes)+48)])
	if h.Canary != "" {
		return h
	}
	for _, name := range slices.Sorted(maps.Keys(s.whole)) {
		if slices.ContainsFunc(s.whole[name], func(f Form) bool { return covers(block, f.Bytes, at, len(mark.Bytes)) }) {
			h.Canary = name
			break
		}
	}
	return h
}

// covers reports whether whole lies in block over some of the n bytes at a place.
func covers(block, whole []byte, at, n int) bool {
	from := max(0, at-len(whole)+1)
	return bytes.Contains(block[from:min(len(block), at+n+len(whole)-1)], whole)
}

// Reader looks at all that r gives, and says how many bytes that was.
func (s *Search) Reader(where string, r io.Reader) ([]Hit, int64, error) {
	var hits []Hit
	buffer := make([]byte, overlap+blockSize)
	kept, total := 0, int64(0)
	for {
		n, err := io.ReadFull(r, buffer[kept:])
		total += int64(n)
		block := buffer[:kept+n]
		base := total - int64(len(block))
		for _, h := range s.Block(where, base, block) {
			if !slices.ContainsFunc(hits, h.same) { // seen in the overlap
				hits = append(hits, h)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return hits, total, nil
		}
		if err != nil {
			return hits, total, err
		}
		kept = copy(buffer, block[max(0, len(block)-overlap):])
	}
}
