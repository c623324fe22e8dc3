// Package signed signs and checks what a client that has a key and the server say to each
// other: HTTP Message Signatures (RFC 9421) with Ed25519, over a Content-Digest (RFC 9530)
// and a list of components that is fixed. Structured fields are a library's work; which
// components a message must have is this package's.
//
// Each message has one signature, in the one spelling there is: what is covered follows
// from the message, so a field that was added, left out or said twice is refused like one
// that was changed. docs/security/envelopes.md has the format.
package signed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"secretsbridge/seal"
)

// Header fields of the two standards.
const (
	HeaderDigest    = "Content-Digest"
	HeaderInput     = "Signature-Input"
	HeaderSignature = "Signature"
)

// label names the signature in both fields.
const label = "sb"

// What a signature is for. A refusal is an answer to a request whose own signature was
// not found good: it tells of the request as it came, not as it was meant.
const (
	tagRequest = "sb-request-v1"
	tagAnswer  = "sb-answer-v1"
	tagRefusal = "sb-refusal-v1"
)

var (
	// ErrInvalid says that a message is unsigned, or not as it was signed.
	ErrInvalid = errors.New("the message is not as its signature says")

	// ErrKey says that another key signed, or that it was meant to look so.
	ErrKey = errors.New("the message is signed by another key")
)

// params are the parameters of a signature, in their order: created, nonce (of requests),
// keyid, tag.
type params struct {
	created int64 // Unix seconds
	nonce   string
	keyID   string
	tag     string
}

// component is one line of a signature base.
type component struct {
	id    httpsfv.Item
	value string
}

// derived makes a component that is no header field.
func derived(name, value string) component { return component{httpsfv.NewItem(name), value} }

// fields are the components of those header fields that there are. A field that is there
// twice is one value, joined as RFC 9421, section 2.1, says.
func fields(header http.Header, names ...string) []component {
	var found []component
	for _, name := range names {
		if values := header.Values(name); len(values) > 0 {
			found = append(found, derived(name, strings.Join(values, ", ")))
		}
	}
	return found
}

// single refuses fields that are there twice.
func single(header http.Header, names ...string) error {
	for _, name := range names {
		if len(header.Values(name)) > 1 {
			return ErrInvalid
		}
	}
	return nil
}

// list is the signature's parameters: what is covered, and the rest.
func list(covered []component, p params) httpsfv.InnerList {
	l := httpsfv.InnerList{Params: httpsfv.NewParams()}
	for _, c := range covered {
		l.Items = append(l.Items, c.id)
	}
	l.Params.Add("created", p.created)
	if p.nonce != "" {
		l.Params.Add("nonce", p.nonce)
	}
	l.Params.Add("keyid", p.keyID)
	l.Params.Add("tag", p.tag)
	return l
}

// base is what is signed (RFC 9421, section 2.5).
func base(covered []component, l httpsfv.InnerList) ([]byte, error) {
	var b strings.Builder
	for _, c := range covered {
		id, err := httpsfv.Marshal(c.id)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(c.value, "\r\n") {
			return nil, ErrInvalid // it would be more than one line
		}
		b.WriteString(id + ": " + c.value + "\n")
	}
	said, err := httpsfv.Marshal(l)
	if err != nil {
		return nil, err
	}
	b.WriteString(`"@signature-params": ` + said)
	return []byte(b.String()), nil
}

// sign sets the two fields of a signature.
func sign(header http.Header, covered []component, p params, key seal.SigningKey) error {
	l := list(covered, p)
	signing, err := base(covered, l)
	if err != nil {
		return fmt.Errorf("sign a message: %w", err)
	}
	input, signature := httpsfv.NewDictionary(), httpsfv.NewDictionary()
	input.Add(label, l)
	signature.Add(label, httpsfv.NewItem(key.SignBase(signing)))
	said, err := httpsfv.Marshal(input)
	if err != nil {
		return fmt.Errorf("sign a message: %w", err)
	}
	signatures, err := httpsfv.Marshal(signature)
	if err != nil {
		return fmt.Errorf("sign a message: %w", err)
	}
	header.Set(HeaderInput, said)
	header.Set(HeaderSignature, signatures)
	return nil
}

// check finds the signature and returns its parameters, if it is the key's over exactly
// what must be covered.
func check(header http.Header, covered []component, tags []string, key seal.VerifyKey) (params, error) {
	if len(header.Values(HeaderInput)) != 1 || len(header.Values(HeaderSignature)) != 1 {
		return params{}, ErrInvalid
	}
	p, err := parse(header.Get(HeaderInput))
	if err != nil {
		return params{}, err
	}
	if !slices.Contains(tags, p.tag) {
		return params{}, ErrInvalid
	}
	if p.keyID != key.ID() {
		return params{}, ErrKey
	}
	l := list(covered, p)
	signing, err := base(covered, l)
	if err != nil {
		return params{}, ErrInvalid
	}
	input := httpsfv.NewDictionary()
	input.Add(label, l)
	if want, err := httpsfv.Marshal(input); err != nil || want != header.Get(HeaderInput) {
		return params{}, ErrInvalid
	}
	signature, err := parseSignature(header.Get(HeaderSignature))
	if err != nil || key.VerifyBase(signing, signature) != nil {
		return params{}, ErrInvalid
	}
	return p, nil
}

// parse reads the parameters; what is covered is compared as a whole.
func parse(input string) (params, error) {
	d, err := httpsfv.UnmarshalDictionary([]string{input})
	if err != nil || len(d.Names()) != 1 {
		return params{}, ErrInvalid
	}
	member, _ := d.Get(label)
	l, ok := member.(httpsfv.InnerList)
	if !ok || l.Params == nil {
		return params{}, ErrInvalid
	}
	var p params
	created, _ := l.Params.Get("created")
	nonce, _ := l.Params.Get("nonce")
	keyID, _ := l.Params.Get("keyid")
	tag, _ := l.Params.Get("tag")
	p.nonce, _ = nonce.(string)
	p.created, ok = created.(int64)
	var named, tagged bool
	p.keyID, named = keyID.(string)
	p.tag, tagged = tag.(string)
	if !ok || !named || !tagged {
		return params{}, ErrInvalid
	}
	return p, nil
}

func parseSignature(text string) ([]byte, error) {
	d, err := httpsfv.UnmarshalDictionary([]string{text})
	if err != nil || len(d.Names()) != 1 {
		return nil, ErrInvalid
	}
	member, _ := d.Get(label)
	item, ok := member.(httpsfv.Item)
	if !ok {
		return nil, ErrInvalid
	}
	signature, ok := item.Value.([]byte)
	if again, err := httpsfv.Marshal(d); !ok || err != nil || again != text {
		return nil, ErrInvalid
	}
	return signature, nil
}

// digest is the Content-Digest of a body: SHA-256, also of an empty one.
func digest(body []byte) (string, error) {
	sum := sha256.Sum256(body)
	d := httpsfv.NewDictionary()
	d.Add("sha-256", httpsfv.NewItem(sum[:]))
	return httpsfv.Marshal(d)
}

// digested reports whether the digest is there, once, in our spelling, and the body's.
func digested(header http.Header, body []byte) bool {
	want, err := digest(body)
	return err == nil && len(header.Values(HeaderDigest)) == 1 && header.Get(HeaderDigest) == want
}

// seconds is a time as signatures have it.
func seconds(created int64) time.Time { return time.Unix(created, 0).UTC() }
