package contract_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	requestID = "r_0123456789abcdefghjkmnpqrs"
	shown     = `{"id":"` + requestID + `","state":"pending","operation":"read","secret":"file/a","connection":"file","cluster":"demo","ref":"a",` +
		`"keys":[],"reason":"x","requester":{"id":"u_1","name":"Dana"},"steps":[],"votes":[],"submitted_at":"2026-11-24T10:00:00Z",` +
		`"pending_until":"2026-11-25T10:00:00Z","envelopes":[],"place":{},"seq":4,` +
		`"actions":{"approve":{"allowed":true},"reject":{"allowed":true},"cancel":{"allowed":false,"code":"not_your_request","reason":"ask them"},` +
		`"provide":{"allowed":false},"refuse":{"allowed":false},"review":{"allowed":false},"reveal":{"allowed":false}}}`
	fact = `{"seq":4,"index":0,"id":"c_1.0","type":"sb.request.cancelled.v1","stream":"request/r_1","time":"2026-11-24T10:00:00.123Z",` +
		`"actor":"user:u_1","correlation":"x_1","command":"c_1","data":{"comment":"x","deep":{"er":[1]}}}`
)

func problem(code, status, title string) string {
	return `{"type":"about:blank#` + code + `","title":"` + title + `","status":` + status + `,"detail":"do something","code":"` + code + `","instance":"x_1"}`
}

// exchange is one call as tests see it.
type exchange struct {
	method, path, request string
	key, token            string
	status                int
	header                map[string]string
	body                  string
}

func (e exchange) check(t *testing.T) error {
	t.Helper()
	var sent *strings.Reader
	req, err := http.NewRequest(e.method, "https://127.0.0.1:8443"+e.path, nil)
	if e.request != "" {
		sent = strings.NewReader(e.request)
		req, err = http.NewRequest(e.method, "https://127.0.0.1:8443"+e.path, sent)
	}
	if err != nil {
		t.Fatal(err)
	}
	if e.request != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if e.key != "" {
		req.Header.Set("Idempotency-Key", e.key)
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	resp := &http.Response{StatusCode: e.status, Header: http.Header{"Cache-Control": {"no-store"}}}
	switch {
	case e.body == "":
	case e.status >= 400:
		resp.Header.Set("Content-Type", "application/problem+json")
	default:
		resp.Header.Set("Content-Type", "application/json")
	}
	for name, value := range e.header {
		resp.Header.Set(name, value)
	}
	return load(t).CheckResponse(req, resp, []byte(e.body))
}

func get(path string, status int, body string) exchange {
	return exchange{method: "GET", path: "/api/v1" + path, token: "t", status: status, body: body}
}

func post(path, request string, status int, body string) exchange {
	return exchange{method: "POST", path: "/api/v1" + path, request: request, key: "k-1", token: "t", status: status, body: body}
}

func (e exchange) with(name, value string) exchange {
	header := map[string]string{name: value}
	for k, v := range e.header {
		header[k] = v
	}
	e.header = header
	return e
}

func TestWhatFitsPasses(t *testing.T) {
	unsigned := post("/sessions", `{"email":"a@b","password":"x"}`, 401, problem("sign_in_failed", "401", "Unauthorized")).with("WWW-Authenticate", "Bearer")
	unsigned.key, unsigned.token = "", ""
	tests := map[string]exchange{
		"a command":                 post("/requests", `{"secret":"file/a","reason":"x"}`, 201, `{"id":"`+requestID+`","seq":4}`).with("Sb-Sequence", "4"),
		"a command without a body":  post("/requests/"+requestID+"/approve", "", 200, `{"seq":4}`).with("Idempotency-Replayed", "true"),
		"a page":                    get("/requests?state=pending&state=approved&mine=true&limit=200", 200, `{"items":[`+shown+`],"next":"NA"}`),
		"facts":                     get("/audit/events?type=sb.&since=2026-11-24T10:00:00Z", 200, `{"items":[`+fact+`]}`),
		"not modified":              get("/connections/file", 304, "").with("ETag", `"3"`),
		"no content":                {method: "DELETE", path: "/api/v1/sessions/current", token: "t", status: 204},
		"a problem":                 post("/requests", `{"secret":"nothing"}`, 422, problem("ref_invalid", "422", "Unprocessable Entity")),
		"a sign-in that failed":     unsigned,
		"no such path":              get("/nothing", 404, problem("not_found", "404", "Not Found")),
		"a method it does not take": {method: "PUT", path: "/api/v1/me", status: 405, body: problem("method_not_allowed", "405", "Method Not Allowed")},
		"a stream":                  get("/requests/"+requestID+"/stream", 200, ": still here\n\nid: 4\nevent: request\ndata: "+shown+"\n\nid: 5\nev").with("Content-Type", "text/event-stream"),
		"lines":                     get("/audit/export?after=3.0", 200, fact+"\n"+fact+"\n").with("Content-Type", "application/x-ndjson"),
		"no lines":                  get("/audit/export", 200, "").with("Content-Type", "application/x-ndjson"),
		"a sealed value":            post("/requests/"+requestID+"/envelopes/e_1/reveal", `{"recipient":"x25519:AA"}`, 200, `{"key":"k","sealed":"TQE=","not_after":"2026-11-24T10:16:01Z","seq":9}`),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			if err := e.check(t); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatBreaksTheContractIsRefused(t *testing.T) {
	const submit = `{"secret":"file/a","reason":"x"}`
	keyless := post("/requests", submit, 201, `{"id":"`+requestID+`","seq":4}`)
	keyless.key = ""
	anonymous := get("/me", 200, `{"id":"u_1","email":"a@b","name":"A","roles":[],"permissions":[]}`)
	anonymous.token = ""
	tests := map[string]exchange{
		"a field is missing":                  post("/requests", submit, 201, `{"seq":4}`),
		"a field is of another type":          post("/requests", submit, 201, `{"id":"`+requestID+`","seq":"4"}`),
		"a field that the text does not name": post("/requests", submit, 201, `{"id":"`+requestID+`","seq":4,"debug":1}`),
		"such a field deeper":                 get("/requests", 200, `{"items":[`+strings.Replace(shown, `"name":"Dana"`, `"name":"Dana","email":"d@x"`, 1)+`]}`),
		"null for a list":                     get("/requests/"+requestID, 200, strings.Replace(shown, `"keys":[]`, `"keys":null`, 1)),
		"a state nobody knows":                get("/requests/"+requestID, 200, strings.Replace(shown, "pending", "lost", 1)),
		"a time with an offset":               get("/requests/"+requestID, 200, strings.Replace(shown, "10:00:00Z", "10:00:00+01:00", 1)),
		"a value twice":                       post("/requests/"+requestID+"/envelopes/e_1/reveal", "{}", 200, `{"key":"k","value":"a","value_base64":"YQ==","seq":9}`),
		"no value":                            post("/requests/"+requestID+"/envelopes/e_1/reveal", "{}", 200, `{"key":"k","seq":9}`),
		"another success":                     post("/requests", submit, 200, `{"id":"`+requestID+`","seq":4}`),
		"a header of another type":            post("/requests", submit, 201, `{"id":"`+requestID+`","seq":4}`).with("Sb-Sequence", "four"),
		"a header is missing":                 get("/connections/file", 304, ""),
		"a body where there is none":          {method: "DELETE", path: "/api/v1/sessions/current", token: "t", status: 204, body: "{}"},
		"a page of text":                      get("/requests", 200, "<html>").with("Content-Type", "text/html"),
		"an error that is no problem":         get("/requests", 500, "oops").with("Content-Type", "text/plain"),
		"a code nobody knows":                 get("/requests", 400, problem("odd", "400", "Bad Request")),
		"a code of another operation":         get("/requests", 403, problem("self_approval", "403", "Forbidden")),
		"a code with another status":          get("/requests", 400, problem("forbidden", "403", "Forbidden")),
		"another title":                       get("/requests", 403, problem("forbidden", "403", "No")),
		"a 401 without a scheme":              get("/requests", 401, problem("not_signed_in", "401", "Unauthorized")),
		"a 429 without a time":                post("/sessions", `{"email":"a","password":"x"}`, 429, problem("too_many_requests", "429", "Too Many Requests")),
		"an operation that is not there":      get("/nothing", 200, "{}"),
		"a field was accepted":                post("/requests", `{"secret":"file/a","reason":"x","role":"admin"}`, 201, `{"id":"`+requestID+`","seq":4}`),
		"a long reason was accepted":          post("/requests", `{"secret":"file/a","reason":"`+strings.Repeat("é", 2001)+`"}`, 201, `{"id":"`+requestID+`","seq":4}`),
		"a parameter was accepted":            get("/requests?all=true", 200, `{"items":[]}`),
		"a limit was accepted":                get("/requests?limit=201", 200, `{"items":[]}`),
		"no key was needed":                   keyless,
		"no session was needed":               anonymous,
		"a line that is no fact":              get("/audit/export", 200, fact+"\n{}\n").with("Content-Type", "application/x-ndjson"),
		"half a record":                       get("/audit/export?format=ocsf", 200, `{"class_uid":6003}`+"\n").with("Content-Type", "application/x-ndjson"),
		"half a line":                         get("/audit/export", 200, fact).with("Content-Type", "application/x-ndjson"),
		"a message of another kind":           get("/requests/"+requestID+"/stream", 200, "id: 4\nevent: other\ndata: "+shown+"\n\n").with("Content-Type", "text/event-stream"),
		"a message that is no request":        get("/requests/"+requestID+"/stream", 200, "id: 4\nevent: request\ndata: {}\n\n").with("Content-Type", "text/event-stream"),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			if err := e.check(t); err == nil {
				t.Error("passed")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestABodyThatCannotBeReadAgainIsSaid(t *testing.T) {
	req, err := http.NewRequest("POST", "/api/v1/requests", struct{ *strings.Reader }{strings.NewReader("{}")})
	if err != nil {
		t.Fatal(err)
	}
	err = load(t).CheckResponse(req, &http.Response{StatusCode: 201, Header: http.Header{}}, nil)
	if err == nil || !strings.Contains(err.Error(), "GetBody") {
		t.Errorf("got %v", err)
	}
}
