package subject_test

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

const asyncAPIPath = "../../docs/reference/asyncapi.yaml"

var update = flag.Bool("update", false, "write "+asyncAPIPath+" again")

// TestTheAsyncAPIIsCurrent compares the description of NATS with the names of subjects, the registry
// of facts and the messages of services.
func TestTheAsyncAPIIsCurrent(t *testing.T) {
	text, err := yaml.MarshalWithOptions(asyncAPI(t), yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		t.Fatal(err)
	}
	want := "# Generated from nats/subject and package events; do not edit.\n" + string(text)
	if *update {
		if err := os.WriteFile(asyncAPIPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(asyncAPIPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says; run go test ./nats/subject -update", asyncAPIPath)
	}
}

// services are the messages of each agent service, as the comments beside their names in package
// events say: "Heartbeat → HeartbeatReply".
func services(t *testing.T) map[events.Service][2]reflect.Type {
	t.Helper()
	source, err := os.ReadFile("../../events/service.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]reflect.Type{}
	for _, m := range []reflect.Type{
		reflect.TypeFor[events.Heartbeat](), reflect.TypeFor[events.HeartbeatReply](), reflect.TypeFor[events.RenewCredentials](),
		reflect.TypeFor[events.Credentials](), reflect.TypeFor[events.StartJob](), reflect.TypeFor[events.JobLease](), reflect.TypeFor[events.IssueDataKey](),
		reflect.TypeFor[events.DataKeyGrant](), reflect.TypeFor[events.HandOver](), reflect.TypeFor[events.Done](), reflect.TypeFor[events.CompleteJob](),
		reflect.TypeFor[events.FailJob](), reflect.TypeFor[events.AskFingerprintKey](), reflect.TypeFor[events.FingerprintKey](),
		reflect.TypeFor[events.ComparePatch](), reflect.TypeFor[events.Comparison](), reflect.TypeFor[events.FetchValue](), reflect.TypeFor[events.ProposedValue](),
		reflect.TypeFor[events.RotateKey](), reflect.TypeFor[events.RetireKeys](), reflect.TypeFor[events.NeededKeys](), reflect.TypeFor[events.AskTrust](),
		reflect.TypeFor[events.Trust](), reflect.TypeFor[events.TakeJob](), reflect.TypeFor[events.JobGrant](), reflect.TypeFor[events.ScanPage](),
		reflect.TypeFor[events.PageTaken](), reflect.TypeFor[events.FingerprintPage](), reflect.TypeFor[events.FinishJob](), reflect.TypeFor[events.AbandonJob](),
		reflect.TypeFor[events.ReportObservation](), reflect.TypeFor[events.AskCheckpoint](), reflect.TypeFor[events.ShownCheckpoint](),
	} {
		known[m.Name()] = m
	}
	all := map[events.Service][2]reflect.Type{}
	for _, line := range regexp.MustCompile(`Service = "(\w+)"\s+// (\w+) → (\w+)`).FindAllStringSubmatch(string(source), -1) {
		ask, reply := known[line[2]], known[line[3]]
		if ask == nil || reply == nil {
			t.Fatalf("the messages %s and %s of service %s: name them here", line[2], line[3], line[1])
		}
		all[events.Service(line[1])] = [2]reflect.Type{ask, reply}
	}
	for _, s := range events.Services() {
		if _, ok := all[s]; !ok {
			t.Fatalf("events/service.go does not say which messages service %s has", s)
		}
	}
	return all
}

// item is one entry of a mapping whose order is kept.
func item(key string, value any) yaml.MapItem { return yaml.MapItem{Key: key, Value: value} }

type mapping = yaml.MapSlice

func ref(to string) mapping { return mapping{item("$ref", "#/"+to)} }

func asyncAPI(t *testing.T) mapping {
	s := &schemas{done: map[string]mapping{}}
	var channels, operations, messages mapping

	aggregates := map[events.Aggregate][]events.Kind{}
	var order []events.Aggregate
	for _, k := range events.Catalogue() {
		if aggregates[k.Aggregate] == nil {
			order = append(order, k.Aggregate)
		}
		aggregates[k.Aggregate] = append(aggregates[k.Aggregate], k)
	}
	for _, a := range order {
		name := "facts-" + string(a)
		var kinds []any
		for _, k := range aggregates[a] {
			kinds = append(kinds, ref("components/schemas/"+s.event(k)))
		}
		messages = append(messages, item(name, mapping{
			item("title", "A commit of "+string(a)),
			item("summary", "One decision: a CloudEvents 1.0 JSON batch of facts of one stream"),
			item("contentType", "application/cloudevents-batch+json"),
			item("payload", mapping{item("type", "array"), item("minItems", 1), item("maxItems", events.MaxCommitEvents), item("items", mapping{item("oneOf", kinds)})}),
		}))
		channels = append(channels, item(name, mapping{
			item("address", subject.Events(events.Stream{Aggregate: a, ID: "{id}"})),
			item("description", "Stream "+subject.EventsStream+". Account CORE; no agent sees it."),
			item("parameters", mapping{item("id", mapping{item("description", "the id of one "+string(a))})}),
			item("messages", mapping{item(name, ref("components/messages/"+name))}),
		}))
		operations = append(operations,
			item("append-"+string(a), operation("send", name, "Appended with the sequence that the writer saw last; a conflict means that somebody came first.")),
			item("follow-"+string(a), operation("receive", name, "Followers fold facts into views, rights, notices and the proof of the log.")))
	}

	messages = append(messages, item("ticket", mapping{
		item("title", "A signed job ticket"),
		item("summary", "Says where a secret is and what to do with it, and never what it is. The bytes of ticket are the JSON of a Ticket, and what is signed"),
		item("contentType", "application/json"),
		item("payload", s.of(reflect.TypeFor[events.SignedTicket]())),
	}))
	s.of(reflect.TypeFor[events.Ticket]())
	channels = append(channels, item("jobs", mapping{
		item("address", subject.Job("{cluster}", "{operation}", "{job}")),
		item("description", "Work queue "+subject.JobsStream+", with one durable pull consumer for each cluster. Account CORE; an agent reaches its own cluster's consumer through an import, by "+subject.LocalPull+"."),
		item("parameters", mapping{
			item("cluster", mapping{item("description", "whose agents do it")}),
			item("operation", mapping{item("description", "what is to be done")}),
			item("job", mapping{item("description", "the id of the job")}),
		}),
		item("messages", mapping{item("ticket", ref("components/messages/ticket"))}),
	}))
	operations = append(operations, item("dispatch", operation("send", "jobs", "The worker offers what was approved. A ticket that is queued already stays as it is.")))

	of := services(t)
	for _, service := range events.Services() {
		name := "service-" + string(service)
		ask, reply := of[service][0], of[service][1]
		messages = append(messages,
			item(name+"-request", frame(string(service)+" request", s.of(ask))),
			item(name+"-reply", frame(string(service)+" reply", mapping{
				item("type", "object"),
				item("description", "either a result or an error"),
				item("properties", mapping{item("result", s.of(reply)), item("error", s.of(reflect.TypeFor[events.ServiceError]()))}),
			})))
		channels = append(channels, item(name, mapping{
			item("address", subject.Service("{account}", service)),
			item("description", "An agent service. CORE exports it with the importer's account at token "+digit(subject.ServicesAccountToken)+", so that the server itself refuses a foreign one."),
			item("parameters", mapping{item("account", mapping{item("description", "the agent's own NATS account, a public nkey")})}),
			item("messages", mapping{item(name+"-request", ref("components/messages/"+name+"-request")), item(name+"-reply", ref("components/messages/"+name+"-reply"))}),
		}))
		operations = append(operations, item(name, mapping{
			item("action", "receive"),
			item("channel", ref("channels/"+name)),
			item("summary", ask.Name()+" → "+reply.Name()),
			item("messages", []any{ref("channels/" + name + "/messages/" + name + "-request")}),
			item("reply", mapping{item("channel", ref("channels/"+name)), item("messages", []any{ref("channels/" + name + "/messages/" + name + "-reply")})}),
		}))
	}

	for _, b := range []struct{ bucket, says string }{
		{subject.MarksBucket, "idempotency marks: the answer to a command, by the hash of caller and key; and what was used once. Used recovery codes and counters of passkeys stay"},
		{subject.PresenceBucket, "agents that were heard"},
		{subject.WindowsBucket, "rate windows, by an HMAC of whom they are of"},
		{subject.LeasesBucket, "who works at which loop"},
		{subject.CachesBucket, "of whom something changed that servers keep in memory"},
	} {
		channels = append(channels, item("bucket-"+b.bucket, mapping{
			item("address", subject.KeyValue(b.bucket, "{key}")),
			item("description", "Key-value bucket of account CORE: "+b.says+". What has an end goes by itself, and no key holds a value, sealed or not."),
			item("parameters", mapping{item("key", mapping{item("description", "one key")})}),
		}))
	}

	return mapping{
		item("asyncapi", "3.0.0"),
		item("info", mapping{
			item("title", "Secrets Bridge on NATS"), item("version", "1"),
			item("description", "What control plane and agents say to each other over NATS, as the control plane sees it. No message holds a value, sealed or not, but those of services: there envelopes pass as requests and replies, which no stream keeps."),
			item("license", mapping{item("name", "see LICENSE of the repository")}),
		}),
		item("defaultContentType", "application/json"),
		item("servers", mapping{
			item("core", mapping{item("host", "nats.internal:4222"), item("protocol", "nats"), item("description", "Account CORE of the embedded server or of the operator's cluster. Only sb-server connects here.")}),
			item("leaf", mapping{item("host", "sb.example.org:7422"), item("protocol", "nats"), item("description", "Leaf links of agents, over TLS with a pinned CA; each has an account of its own and sees services, and the queue of its cluster.")}),
		}),
		item("channels", channels),
		item("operations", operations),
		item("components", mapping{item("messages", messages), item("schemas", s.sorted())}),
	}
}

func operation(action, channel, summary string) mapping {
	return mapping{item("action", action), item("channel", ref("channels/"+channel)), item("summary", summary)}
}

// frame is a message that is signed by its sender.
func frame(title string, payload mapping) mapping {
	return mapping{
		item("title", title),
		item("summary", "In a frame that its sender signed (docs/security/envelopes.md, Frames); the payload is what the frame carries"),
		item("contentType", "application/json"),
		item("payload", payload),
	}
}

func digit(n int) string { return string(rune('0' + n)) }

// schemas are the JSON Schemas of Go types that travel, made once for each.
type schemas struct{ done map[string]mapping }

// event is a fact with its circumstances.
func (s *schemas) event(k events.Kind) string {
	name := strings.TrimSuffix(k.Go.Name(), "Event")
	s.of(k.Go)
	circumstances := mapping{
		item("specversion", mapping{item("const", "1.0")}),
		item("type", mapping{item("const", k.Type)}),
		item("source", mapping{item("const", events.Source)}),
	}
	for _, attribute := range []string{"id", "subject", "actor", "correlation", "command"} {
		circumstances = append(circumstances, item(attribute, mapping{item("type", "string")}))
	}
	circumstances = append(circumstances,
		item("time", mapping{item("type", "string"), item("format", "date-time")}),
		item("datacontenttype", mapping{item("const", "application/json")}),
		item("data", ref("components/schemas/"+k.Go.Name())))
	var required []string
	for _, c := range circumstances {
		required = append(required, c.Key.(string))
	}
	s.done["Event."+name] = mapping{
		item("type", "object"), item("title", k.Type), item("description", k.Sentence), item("required", required), item("properties", circumstances),
	}
	return "Event." + name
}

// of is the schema of a type; a struct with a name is a reference to its own.
func (s *schemas) of(t reflect.Type) mapping {
	switch {
	case t.String() == "time.Time":
		return mapping{item("type", "string"), item("format", "date-time")}
	case t == reflect.TypeFor[[]byte]():
		return mapping{item("type", "string"), item("contentEncoding", "base64")}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Kind() == reflect.Slice:
		return mapping{item("type", "array"), item("items", s.of(t.Elem()))}
	case t.Kind() == reflect.Map:
		return mapping{item("type", "object"), item("additionalProperties", s.of(t.Elem()))}
	case t.Kind() == reflect.Struct && t.Name() != "":
		if _, made := s.done[t.Name()]; !made {
			s.done[t.Name()] = nil // a type may hold itself
			s.done[t.Name()] = s.fields(t)
		}
		return ref("components/schemas/" + t.Name())
	case t.Kind() == reflect.Struct:
		return s.fields(t)
	case t.Kind() == reflect.Bool:
		return mapping{item("type", "boolean")}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return mapping{item("type", "integer")}
	case t.Kind() == reflect.String:
		return mapping{item("type", "string")}
	}
	return mapping{} // anything
}

func (s *schemas) fields(t reflect.Type) mapping {
	var properties mapping
	var required []string
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		properties = append(properties, item(name, s.of(t.Field(i).Type)))
		if options == "" {
			required = append(required, name)
		}
	}
	made := mapping{item("type", "object")}
	if len(required) > 0 {
		made = append(made, item("required", required))
	}
	if len(properties) > 0 {
		made = append(made, item("properties", properties))
	}
	return made
}

func (s *schemas) sorted() mapping {
	var names []string
	for name := range s.done {
		names = append(names, name)
	}
	slices.Sort(names)
	var all mapping
	for _, name := range names {
		all = append(all, item(name, s.done[name]))
	}
	return all
}
