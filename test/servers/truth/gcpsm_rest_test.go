package truth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"secretsbridge/agent/gcp"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/gcpsm"
)

// binding is how a method goes over HTTP, as Google's own definition of the service says.
type binding struct {
	method *annotations.HttpRule
	path   *regexp.Regexp
	rpc    protoreflect.MethodDescriptor
}

// bindings reads the google.api.http annotations of Secret Manager.
func bindings(t *testing.T) []binding {
	t.Helper()
	var all []binding
	methods := secretmanagerpb.File_google_cloud_secretmanager_v1_service_proto.Services().ByName("SecretManagerService").Methods()
	variable := regexp.MustCompile(`\{[a-z_.]+=([^}]+)\}`)
	for i := range methods.Len() {
		rule, ok := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
		if !ok {
			t.Fatalf("%s is bound to nothing", methods.Get(i).Name())
		}
		for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			template := variable.ReplaceAllString(pattern(r), "$1")
			all = append(all, binding{r, regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(template), `\*`, `[^/:]+`) + "$"), methods.Get(i)})
		}
	}
	return all
}

func pattern(r *annotations.HttpRule) string {
	return r.GetGet() + r.GetPost() + r.GetPatch() + r.GetDelete()
}

func verb(r *annotations.HttpRule) string {
	switch {
	case r.GetGet() != "":
		return http.MethodGet
	case r.GetPost() != "":
		return http.MethodPost
	case r.GetPatch() != "":
		return http.MethodPatch
	}
	return http.MethodDelete
}

// TestTheProductsRequestsAreAsTheServiceDefinesThem has the product's adapter talk to the
// fake, and holds each of its requests against Google's definition of the service: verb,
// path, names of parameters, and every member of the body.
func TestTheProductsRequestsAreAsTheServiceDefinesThem(t *testing.T) {
	server := gcpsm.Start(t)
	all := bindings(t)
	var mu sync.Mutex
	seen := map[string]int{}
	endpoint := before(t, server.Address, func(r *http.Request, body []byte) {
		i := slices.IndexFunc(all, func(b binding) bool { return verb(b.method) == r.Method && b.path.MatchString(r.URL.Path) })
		if i < 0 {
			t.Errorf("%s %s is bound to no method", r.Method, r.URL.Path)
			return
		}
		mu.Lock()
		seen[string(all[i].rpc.Name())]++
		mu.Unlock()
		fits(t, all[i], r.URL.Query(), body)
	}, nil)

	key, _ := server.KeyFile(t)
	const kms = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"
	for _, cfg := range []gcp.Config{
		{}, {KMSKey: kms}, {KMSKey: kms, ReplicaLocations: []string{"europe-west3"}}, {Location: "europe-west3", KMSKey: kms},
	} {
		cfg.Project, cfg.Endpoint, cfg.Allow, cfg.Auth.CredentialsFile = gcpsm.Project, endpoint, providertest.Allow(t, "*"), key
		drive(t, cfg)
	}
	for _, method := range []string{"ListSecrets", "CreateSecret", "AddSecretVersion", "GetSecret", "UpdateSecret", "GetSecretVersion", "AccessSecretVersion"} {
		if seen[method] == 0 {
			t.Errorf("%s was not held against the definition", method)
		}
	}
}

// drive makes every kind of call.
func drive(t *testing.T, cfg gcp.Config) {
	t.Helper()
	p, err := gcp.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ref := providertest.Ref(t, "driven-"+strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(cfg.Location+cfg.KMSKey+strings.Join(cfg.ReplicaLocations, ""), "")))
	b := providertest.Bundle("v")
	b.Labels = map[string]string{"team": "a"}
	version, err := p.Write(t.Context(), ref, b, "")
	if err != nil {
		t.Fatal(err)
	}
	b.Labels = map[string]string{"team": "b"}
	if _, err := p.Write(t.Context(), ref, b, version); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Read(t.Context(), ref); err != nil || got.Version != "2" || got.Labels["team"] != "b" {
		t.Errorf("read version %q, labels %v, %v", got.Version, got.Labels, err)
	}
	for _, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range p.List(t.Context(), "no token") {
		if err == nil {
			t.Error("a page token that is none is taken")
		}
	}
}

// fits checks parameters and body: the definition knows each of them, but for $alt, which
// every Google API has ("System parameters"); the SDK asks for enums as numbers with it.
func fits(t *testing.T, b binding, query url.Values, body []byte) {
	t.Helper()
	for name := range query {
		if name == "$alt" && query.Get(name) == "json;enum-encoding=int" {
			continue
		}
		if b.rpc.Input().Fields().ByJSONName(name) == nil {
			t.Errorf("%s has no parameter %s", b.rpc.Name(), name)
		}
	}
	into := empty(t, b.rpc.Input())
	switch field := b.method.GetBody(); field {
	case "":
		if len(body) > 0 {
			t.Errorf("%s has no body", b.rpc.Name())
		}
		return
	case "*":
	default:
		into = empty(t, b.rpc.Input().Fields().ByName(protoreflect.Name(field)).Message())
	}
	if err := protojson.Unmarshal(body, into); err != nil { // refuses unknown members
		t.Errorf("%s: %v", b.rpc.Name(), err)
	}
}

// canonical is the code in an answer's google.rpc.Status; "" for none.
func canonical(err error) string {
	var answered *googleapi.Error
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &answered):
		return err.Error()
	}
	var body struct{ Error struct{ Status string } }
	if err := json.Unmarshal([]byte(answered.Body), &body); err != nil {
		return err.Error()
	}
	return body.Error.Status
}

// TestGooglesOwnClientUnderstandsTheFake is a second client: the SDK over REST.
func TestGooglesOwnClientUnderstandsTheFake(t *testing.T) {
	server := gcpsm.Start(t)
	ctx := t.Context()
	key, _ := server.KeyFile(t)
	c, err := secretmanager.NewRESTClient(ctx, option.WithEndpoint(server.Address), option.WithAuthCredentialsFile(option.ServiceAccount, key))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	is := func(what string, err error, want string) {
		t.Helper()
		if got := canonical(err); got != want {
			t.Errorf("%s: %q, want %q: %v", what, got, want, err)
		}
	}
	parent := "projects/" + gcpsm.Project
	create := func(id string, labels map[string]string) (*secretmanagerpb.Secret, error) {
		return c.CreateSecret(ctx, &secretmanagerpb.CreateSecretRequest{Parent: parent, SecretId: id, Secret: &secretmanagerpb.Secret{
			Labels:      labels,
			Replication: &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{Automatic: &secretmanagerpb.Replication_Automatic{}}},
		}})
	}
	made, err := create("a", map[string]string{"team": "x"})
	is("create", err, "")
	_, err = create("a", nil)
	is("create again", err, "ALREADY_EXISTS")
	_, err = create("no good", nil)
	is("create what has no id", err, "INVALID_ARGUMENT")
	_, err = create("b", map[string]string{"Team": "x"})
	is("create with labels that are none", err, "INVALID_ARGUMENT")
	for _, id := range []string{"b", "c", "d"} {
		_, err = create(id, nil)
		is("create "+id, err, "")
	}
	latest := &secretmanagerpb.AccessSecretVersionRequest{Name: parent + "/secrets/a/versions/latest"}
	_, err = c.AccessSecretVersion(ctx, latest)
	is("access what has no version", err, "NOT_FOUND")
	add := func(data []byte, crc *int64) error {
		_, err := c.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{Parent: parent + "/secrets/a", Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: crc}})
		return err
	}
	is("add", add([]byte("\xff\x00\xfb"), nil), "")
	is("add too much", add(make([]byte, 64<<10+1), nil), "INVALID_ARGUMENT")
	is("add what is damaged", add([]byte("x"), proto.Int64(1)), "INVALID_ARGUMENT")
	got, err := c.AccessSecretVersion(ctx, latest)
	is("access", err, "")
	if string(got.GetPayload().GetData()) != "\xff\x00\xfb" || got.GetName() != "projects/892942638129/secrets/a/versions/1" {
		t.Errorf("accessed %q of %s", got.GetPayload().GetData(), got.GetName())
	}
	update := func(etag string) (*secretmanagerpb.Secret, error) {
		return c.UpdateSecret(ctx, &secretmanagerpb.UpdateSecretRequest{
			Secret: &secretmanagerpb.Secret{Name: parent + "/secrets/a", Etag: etag}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}},
		})
	}
	changed, err := update(made.GetEtag())
	is("update", err, "")
	if len(changed.GetLabels()) > 0 {
		t.Errorf("labels %v", changed.GetLabels())
	}
	_, err = update(made.GetEtag())
	is("update with an old etag", err, "FAILED_PRECONDITION")

	names := ""
	for secret, err := range c.ListSecrets(ctx, &secretmanagerpb.ListSecretsRequest{Parent: parent, PageSize: 3}).All() {
		is("list", err, "")
		names += secret.GetName()[len(secret.GetName())-1:]
	}
	if names != "abcd" {
		t.Errorf("listed %s", names)
	}
	_, err = c.ListSecrets(ctx, &secretmanagerpb.ListSecretsRequest{Parent: parent, PageToken: "x"}).Next()
	is("list from a token that is none", err, "INVALID_ARGUMENT")

	disabled, err := server.DisableSecretVersion(ctx, &secretmanagerpb.DisableSecretVersionRequest{Name: parent + "/secrets/a/versions/1"})
	is("disable", err, "")
	if disabled.GetState() != secretmanagerpb.SecretVersion_DISABLED {
		t.Errorf("state %s", disabled.GetState())
	}
	_, err = c.AccessSecretVersion(ctx, latest)
	is("access what is disabled", err, "FAILED_PRECONDITION")
	is("delete", c.DeleteSecret(ctx, &secretmanagerpb.DeleteSecretRequest{Name: parent + "/secrets/a"}), "")
	_, err = c.GetSecret(ctx, &secretmanagerpb.GetSecretRequest{Name: parent + "/secrets/a"})
	is("get what was deleted", err, "NOT_FOUND")
}
