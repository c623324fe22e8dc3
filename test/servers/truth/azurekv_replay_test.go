package truth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	fake "secretsbridge/test/servers/azurekv"
)

// recordedVault is the host of Microsoft's recordings.
const recordedVault = "https://fakevault"

// azureExchange is one of Microsoft's recordings of Azure Key Vault. Bodies are JSON.
type azureExchange struct {
	RequestURI      string `json:"RequestUri"`
	RequestMethod   string
	RequestBody     map[string]any
	StatusCode      int
	ResponseHeaders map[string]string
	ResponseBody    map[string]any
}

// listed are the items of an answer that is a page of a list.
func (e azureExchange) listed() (items []any, isList bool) {
	items, isList = e.ResponseBody["value"].([]any)
	return items, isList
}

// TestAzureKeyVaultAnswersAsItWasRecorded replays every recorded request in its order and
// compares status, type of content and the JSON, exactly but for the host, tokens of lists
// and backups. What makes answers differ by chance is taken from the recording: ids of
// versions, times, how long deletions take and which pages of a list are empty. The query is
// not compared: the recordings are of api-version 7.3.
func TestAzureKeyVaultAnswersAsItWasRecorded(t *testing.T) {
	dir, err := moduleDir("github.com/Azure/azure-sdk-for-go/sdk/keyvault/azsecrets")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "testdata", "recordings", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var recording struct{ Entries []azureExchange }
			if err := json.Unmarshal(raw, &recording); err != nil {
				t.Fatal(err)
			}
			r := newAzureReplay(t, recording.Entries)
			for i, e := range recording.Entries {
				r.run(e, recording.Entries[i:])
				counts[e.RequestMethod+" "+http.StatusText(e.StatusCode)]++
			}
		})
	}
	want := map[string]int{
		"GET OK": 23, "GET Not Found": 17, "PUT OK": 12, "PUT Unauthorized": 6, "PATCH OK": 1,
		"DELETE OK": 12, "DELETE No Content": 4, "POST OK": 3, "POST Conflict": 3,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("replayed (-want +got):\n%s", diff)
	}
}

// azureReplay plays one recording against a fake of its own.
type azureReplay struct {
	t      *testing.T
	server *fake.Server
	client *http.Client
	now    time.Time
	token  string // of the fake's last page
	backup string // of the fake's
	inList bool
}

func newAzureReplay(t *testing.T, entries []azureExchange) *azureReplay {
	r := &azureReplay{t: t, server: fake.Start(t)}
	pem, err := os.ReadFile(r.server.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	r.server.Clock(func() time.Time { return r.now })
	// What lists show and nobody in the recording made was there before.
	made := map[string]bool{}
	for _, e := range entries {
		if e.RequestMethod == http.MethodPut {
			made[nameOf(e.RequestURI)] = true
		}
		items, _ := e.listed()
		for _, item := range items {
			one := item.(map[string]any)
			if name := nameOf(one["id"].(string)); !made[name] {
				made[name] = true
				r.seed(name, one)
			}
		}
	}
	return r
}

// nameOf is the secret's in an address of the recordings.
func nameOf(address string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(address, recordedVault), "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// seed stores what a list showed of a certificate's secret.
func (r *azureReplay) seed(name string, one map[string]any) {
	raw, err := json.Marshal(one)
	if err != nil {
		r.t.Fatal(err)
	}
	var in fake.Secret
	if err := json.Unmarshal(raw, &in); err != nil || one["managed"] != true {
		r.t.Fatalf("what %s was is not known: %v", name, err)
	}
	r.now = time.Unix(in.Attributes.Created, 0)
	r.server.SetManaged(name, "")
	r.now = time.Unix(in.Attributes.Updated, 0)
	body, err := json.Marshal(map[string]any{"attributes": in.Attributes, "contentType": in.ContentType, "tags": in.Tags})
	if err != nil {
		r.t.Fatal(err)
	}
	if status, _, _ := r.send(http.MethodPatch, "/secrets/"+name+"/"+r.server.Versions(name)[0].ID, body, true); status != http.StatusOK {
		r.t.Fatalf("seed: status %d", status)
	}
}

func (r *azureReplay) run(e azureExchange, rest []azureExchange) {
	r.t.Helper()
	r.prepare(e, rest)
	path := strings.TrimPrefix(e.RequestURI, recordedVault)
	if before, after, found := strings.Cut(path, "$skiptoken="); found {
		_, after, _ = strings.Cut(after, "&")
		path = before + "$skiptoken=" + r.token + "&" + after
	}
	var ask []byte
	if e.RequestBody != nil {
		if strings.Contains(path, "/restore") {
			e.RequestBody["value"] = r.backup
		}
		var err error
		if ask, err = json.Marshal(e.RequestBody); err != nil {
			r.t.Fatal(err)
		}
	}
	status, header, body := r.send(e.RequestMethod, path, ask, e.StatusCode != http.StatusUnauthorized)
	if status != e.StatusCode {
		r.t.Errorf("%s %s: status %d, recorded %d", e.RequestMethod, path, status, e.StatusCode)
	}
	if got, want := header.Get("Content-Type"), e.ResponseHeaders["Content-Type"]; got != want {
		r.t.Errorf("%s %s: content type %q, recorded %q", e.RequestMethod, path, got, want)
	}
	if recorded := e.ResponseHeaders["WWW-Authenticate"]; recorded != "" {
		authority := func(challenge string) string { return strings.Split(challenge, `"`)[1] }
		want := strings.Replace(recorded, authority(recorded), authority(header.Get("WWW-Authenticate")), 1)
		if got := header.Get("WWW-Authenticate"); got != want {
			r.t.Errorf("challenge %s, recorded %s", got, want)
		}
	}
	var got map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(body), r.server.URL, recordedVault)), &got); err != nil {
			r.t.Fatal(err)
		}
	}
	r.keep(path, got, e.ResponseBody)
	if diff := cmp.Diff(e.ResponseBody, got); diff != "" {
		r.t.Errorf("%s %s (-recorded +fake):\n%s", e.RequestMethod, path, diff)
	}
}

// prepare has the fake meet what the recording met by chance.
func (r *azureReplay) prepare(e azureExchange, rest []azureExchange) {
	attributes, _ := e.ResponseBody["attributes"].(map[string]any)
	if updated, ok := attributes["updated"].(float64); ok {
		r.now = time.Unix(int64(updated), 0)
	}
	if deleted, ok := e.ResponseBody["deletedDate"].(float64); ok && e.RequestMethod == http.MethodDelete {
		r.now = time.Unix(int64(deleted), 0)
	}
	if id, ok := e.ResponseBody["id"].(string); ok && e.RequestMethod == http.MethodPut {
		r.server.NextVersion(id[strings.LastIndex(id, "/")+1:])
	}
	r.server.Hold(e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusConflict)
	if _, isList := e.listed(); !isList {
		r.inList = false
	} else if !r.inList {
		r.inList = true
		var sizes []int
		for _, next := range rest {
			items, isList := next.listed()
			if !isList {
				break
			}
			sizes = append(sizes, len(items))
			if next.ResponseBody["nextLink"] == nil {
				break
			}
		}
		if last := rest[len(sizes)-1]; last.ResponseBody["nextLink"] != nil {
			sizes = append(sizes, 0) // the recording asks for no more
		}
		r.server.PlanPages(sizes...)
	}
}

// keep notes what the fake has in place of what was recorded, and then overlooks it. A
// link must have the recorded parts, whatever its token.
func (r *azureReplay) keep(path string, got, recorded map[string]any) {
	if link, ok := got["nextLink"].(string); ok {
		r.token = query(r.t, link).Get("$skiptoken")
		theirs, _ := recorded["nextLink"].(string)
		ours, want := query(r.t, link), query(r.t, theirs)
		if ours.Get("$skiptoken") == "" || want.Get("$skiptoken") == "" {
			r.t.Errorf("link %q, recorded %q", link, theirs)
		}
		ours.Del("$skiptoken")
		want.Del("$skiptoken")
		if diff := cmp.Diff(want, ours); diff != "" {
			r.t.Errorf("parts of a link (-recorded +fake):\n%s", diff)
		}
		got["nextLink"], recorded["nextLink"] = "a link", "a link"
	}
	if strings.Contains(path, "/backup") {
		r.backup, _ = got["value"].(string)
		if theirs, _ := recorded["value"].(string); theirs == "" || r.backup == "" {
			r.t.Error("a backup without a value")
		}
		got["value"], recorded["value"] = "a backup", "a backup"
	}
}

func query(t *testing.T, link string) url.Values {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSuffix(u.Host, ":443") != strings.TrimPrefix(recordedVault, "https://") {
		t.Errorf("a link to %q", u.Host)
	}
	return u.Query()
}

func (r *azureReplay) send(method, path string, body []byte, signedIn bool) (int, http.Header, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if signedIn {
		r.server.Authorise(req)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, answer
}
