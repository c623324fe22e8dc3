package nats

import (
	"errors"
	"testing"

	"secretsbridge/command"
	"secretsbridge/events"
)

// TestACommitIsDecodedOnce, and its place among the recent ones never answers for other bytes,
// another subject or another sequence.
func TestACommitIsDecodedOnce(t *testing.T) {
	stream, other := events.AccessStream(events.Anonymous), events.AccessStream("u_other")
	raw, err := events.Encode(denial(stream, "x"))
	if err != nil {
		t.Fatal(err)
	}
	changed, err := events.Encode(denial(stream, "y"))
	if err != nil {
		t.Fatal(err)
	}
	var d decoded
	name := "evt.access." + stream.ID
	first, err := d.read(7, name, 3, raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.read(7, name, 3, append([]byte(nil), raw...))
	if err != nil || &again.Events[0] != &first.Events[0] || &again.Raw[0] != &first.Raw[0] {
		t.Errorf("the same bytes are decoded twice, %v", err)
	}
	if c, err := d.read(7, name, 3, changed); err != nil || &c.Events[0] == &first.Events[0] || &c.Raw[0] != &changed[0] {
		t.Errorf("other bytes are read as %s, %v", c.Raw, err)
	}
	if c, err := d.read(7+decodedKept, name, 3, raw); err != nil || c.Seq != 7+decodedKept {
		t.Errorf("another sequence is read as %d, %v", c.Seq, err)
	}
	if _, err := d.read(7+decodedKept, "evt.access."+other.ID, 3, raw); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("under another subject: %v", err)
	}
	if c, err := d.read(7+decodedKept, name, events.AnySeq, raw); err != nil || c.After != events.AnySeq {
		t.Errorf("behind another commit it is read as behind %d, %v", c.After, err)
	}
	if _, err := d.read(8, name, 3, []byte("{")); err == nil {
		t.Error("nonsense is read")
	}
}
