package truth

import (
	"bufio"
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-replayers/grpcreplay"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	_ "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb" // its types, by name

	"secretsbridge/test/servers/gcpsm"
)

// rpc is one of gocloud.dev's recordings of the real Secret Manager.
type rpc struct {
	method string // /SERVICE/METHOD
	in     proto.Message
	out    proto.Message // nil: refused
	fault  string        // as gRPC prints it
}

// TestSecretManagerAnswersAsItWasRecorded replays every recorded call in its order and
// compares answers and errors, which may differ in times and etags only.
func TestSecretManagerAnswersAsItWasRecorded(t *testing.T) {
	counts := map[string]int{}
	refusals := 0
	eachRecording(t, "runtimevar/gcpsecretmanager/testdata", func(t *testing.T, path string) {
		conn := gcpsm.StartIn(t, "go-cloud-test-216917", 892942638129).GRPC(t)
		for _, r := range readRPCs(t, path) {
			counts[r.method[strings.LastIndex(r.method, "/")+1:]]++
			out := empty(t, describe(t, r.method).Output())
			err := conn.Invoke(t.Context(), r.method, r.in, out)
			if r.out == nil {
				refusals++
				if got := status.Convert(err).Err(); got == nil || got.Error() != r.fault {
					t.Errorf("%s: %v, recorded %s", r.method, got, r.fault)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", r.method, err)
				continue
			}
			compare(t, r.method, r.out, out)
		}
	})
	want := map[string]int{"CreateSecret": 9, "AddSecretVersion": 12, "AccessSecretVersion": 17, "GetSecretVersion": 13, "DeleteSecret": 9}
	if diff := cmp.Diff(want, counts); diff != "" || refusals != 4 {
		t.Errorf("replayed %d refusals, want 4, and (-want +got):\n%s", refusals, diff)
	}
}

// etag is in quotes and hexadecimal.
var etag = regexp.MustCompile(`^"[0-9a-f]+"$`)

func compare(t *testing.T, method string, recorded, got proto.Message) {
	t.Helper()
	ignored := protocmp.FilterMessage(recorded, protocmp.IgnoreFields(recorded))
	fields := recorded.ProtoReflect().Descriptor().Fields()
	if f := fields.ByName("etag"); f != nil {
		if value := got.ProtoReflect().Get(f).String(); !etag.MatchString(value) || !etag.MatchString(recorded.ProtoReflect().Get(f).String()) {
			t.Errorf("%s: etag %s", method, value)
		}
		ignored = protocmp.IgnoreFields(recorded, "etag", "create_time")
		if at := fields.ByName("create_time"); !got.ProtoReflect().Has(at) {
			t.Errorf("%s: no time of creation", method)
		}
	}
	if diff := cmp.Diff(recorded, got, protocmp.Transform(), ignored); diff != "" {
		t.Errorf("%s (-recorded +fake):\n%s", method, diff)
	}
}

func describe(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	return found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
}

func empty(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// entry is how grpcreplay prints one: a line of its own before the message's text.
var entry = regexp.MustCompile(`^#(\d+): kind: (REQUEST|RESPONSE), method: (\S*), ref index: (\d+)(?:, error: (.*)|, message:|)$`)

// readRPCs reads a recording through grpcreplay's own printer, which is all that it shows
// of one besides a connection that replays it.
func readRPCs(t *testing.T, path string) []*rpc {
	t.Helper()
	var text bytes.Buffer
	if err := grpcreplay.Fprint(&text, path); err != nil {
		t.Fatal(err)
	}
	var order []*rpc
	byNumber := map[string]*rpc{}
	var into proto.Message
	var body strings.Builder
	finish := func() {
		if into != nil {
			if err := prototext.Unmarshal([]byte(body.String()), into); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		into = nil
		body.Reset()
	}
	lines := bufio.NewScanner(&text)
	lines.Scan() // initial state
	for lines.Scan() {
		m := entry.FindStringSubmatch(lines.Text())
		if m == nil {
			body.WriteString(lines.Text() + "\n")
			continue
		}
		finish()
		number, kind, method, ref, fault := m[1], m[2], m[3], m[4], m[5]
		if kind == "REQUEST" {
			r := &rpc{method: method, in: empty(t, describe(t, method).Input())}
			order, byNumber[number], into = append(order, r), r, r.in
			continue
		}
		r := byNumber[ref]
		if r == nil {
			t.Fatalf("%s: an answer to nothing", path)
		}
		if r.fault = fault; fault == "" {
			r.out = empty(t, describe(t, r.method).Output())
			into = r.out
		}
	}
	finish()
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return order
}
