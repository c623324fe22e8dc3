package seal_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"secretsbridge/seal"
)

// end is the end in every example binding, and before is a moment before it.
var (
	end    = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	before = end.Add(-time.Minute)
)

// refusals are the errors that opening may give for bytes that are not right.
var refusals = []error{seal.ErrMalformed, seal.ErrSuite, seal.ErrSignature, seal.ErrOpen}

// party is one agent and one control plane.
type party struct {
	agent  seal.RecipientKey
	signer seal.SigningKey
}

func newParty(t testing.TB, s seal.Suite) party {
	t.Helper()
	agent, err := seal.GenerateRecipientKey(s)
	if err != nil {
		t.Fatalf("generate recipient key: %v", err)
	}
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatalf("generate signing key: %v", err)
	}
	return party{agent: agent, signer: signer}
}

func (p party) trusted() seal.VerifyKeys { return seal.VerifyKeys{p.signer.Public()} }

func (p party) binding() seal.Binding {
	b := exampleBinding()
	b.AgentKey = p.agent.Public().ID()
	return b
}

func (p party) seal(t testing.TB, plaintext []byte) []byte {
	t.Helper()
	message, err := seal.SealMessage(p.agent.Public(), p.signer, p.binding(), plaintext)
	if err != nil {
		t.Fatalf("seal message: %v", err)
	}
	return message
}

func (p party) open(message []byte) ([]byte, error) {
	return seal.OpenMessage(p.agent, p.trusted(), p.binding(), before, message)
}

func exampleBinding() seal.Binding {
	return seal.Binding{
		Direction: seal.Read, Request: "r_1", Envelope: "r_1.0", Job: "j_1", Attempt: 1,
		Key: "password", Connection: "file", Ref: "prod/db", Agent: "a_1", AgentKey: "ak", NotAfter: end,
	}
}

func mustSealValue(t testing.TB, key seal.DataKey, b seal.Binding, value []byte) []byte {
	t.Helper()
	box, err := seal.SealValue(key, b, value)
	if err != nil {
		t.Fatalf("seal value: %v", err)
	}
	return box
}

// refused checks that opening gave one of the refusals and no plaintext.
func refused(t *testing.T, what string, plaintext []byte, err error, wanted ...error) {
	t.Helper()
	if plaintext != nil {
		t.Errorf("%s: opened to %d bytes", what, len(plaintext))
	}
	for _, want := range wanted {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: error = %v, want one of %v", what, err, wanted)
}

// otherBindings returns one binding for each field of b, different from b in that field
// alone. A field of a kind it does not know fails the test: nobody adds one unseen.
func otherBindings(t *testing.T, b seal.Binding) map[string]seal.Binding {
	t.Helper()
	out := map[string]seal.Binding{}
	kind := reflect.TypeFor[seal.Binding]()
	for i := range kind.NumField() {
		other := b
		switch field := reflect.ValueOf(&other).Elem().Field(i); v := field.Interface().(type) {
		case time.Time:
			field.Set(reflect.ValueOf(v.Add(time.Second)))
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString(field.String() + "x")
			case reflect.Uint64:
				field.SetUint(field.Uint() + 1)
			default:
				t.Fatalf("field %s has kind %s: teach this test to change it", kind.Field(i).Name, field.Kind())
			}
		}
		out[kind.Field(i).Name] = other
	}
	return out
}

func TestEveryFieldOfTheBindingCounts(t *testing.T) {
	plaintext := []byte("canary-4f1c")
	for _, suite := range []seal.Suite{seal.X25519, seal.XWing} {
		p := newParty(t, suite)
		message := p.seal(t, plaintext)
		for name, other := range otherBindings(t, p.binding()) {
			got, err := seal.OpenMessage(p.agent, p.trusted(), other, before, message)
			refused(t, suite.String()+" message, other "+name, got, err, seal.ErrOpen)
		}
	}
	key := seal.NewDataKey()
	box := mustSealValue(t, key, exampleBinding(), plaintext)
	others := otherBindings(t, exampleBinding())
	for name, other := range others {
		got, err := seal.OpenValue(key, other, box)
		refused(t, "value, other "+name, got, err, seal.ErrOpen)
	}
	if len(others) != 11 {
		t.Errorf("a binding has %d fields; the documents describe 11", len(others))
	}
}

func TestValuesOfTwoFieldsDoNotTradePlaces(t *testing.T) {
	p := newParty(t, seal.X25519)
	b, key := p.binding(), seal.NewDataKey()
	box, message := mustSealValue(t, key, b, []byte("x")), p.seal(t, []byte("x"))
	kind := reflect.TypeFor[seal.Binding]()
	pairs := 0
	for i := range kind.NumField() {
		for j := range i {
			other := b
			v := reflect.ValueOf(&other).Elem()
			if v.Field(i).Type() != v.Field(j).Type() {
				continue
			}
			first := v.Field(i).String()
			v.Field(i).SetString(v.Field(j).String())
			v.Field(j).SetString(first)
			names := kind.Field(i).Name + " and " + kind.Field(j).Name
			got, err := seal.OpenValue(key, other, box)
			refused(t, "box, "+names, got, err, seal.ErrOpen)
			got, err = seal.OpenMessage(p.agent, p.trusted(), other, before, message)
			refused(t, "message, "+names, got, err, seal.ErrOpen)
			pairs++
		}
	}
	if pairs != 28 {
		t.Errorf("exchanged %d pairs, want 28", pairs)
	}
}

func TestAnIncompleteBindingSealsNothing(t *testing.T) {
	p := newParty(t, seal.X25519)
	kind := reflect.TypeFor[seal.Binding]()
	for i := range kind.NumField() {
		b := p.binding()
		reflect.ValueOf(&b).Elem().Field(i).SetZero()
		if box, err := seal.SealValue(seal.NewDataKey(), b, []byte("x")); !errors.Is(err, seal.ErrBinding) || box != nil {
			t.Errorf("seal value without %s: error = %v, want %v", kind.Field(i).Name, err, seal.ErrBinding)
		}
		if m, err := seal.SealMessage(p.agent.Public(), p.signer, b, []byte("x")); !errors.Is(err, seal.ErrBinding) || m != nil {
			t.Errorf("seal message without %s: error = %v, want %v", kind.Field(i).Name, err, seal.ErrBinding)
		}
	}
}

func TestTheEndCountsInWholeSecondsAndNotInPlaces(t *testing.T) {
	b := exampleBinding()
	same := b
	same.NotAfter = b.NotAfter.Add(999 * time.Millisecond).In(time.FixedZone("far", 9*3600))
	if !bytes.Equal(b.Bytes(), same.Bytes()) {
		t.Error("the same second in another place gives another binding")
	}
}
