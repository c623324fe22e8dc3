package contract_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/web/contract"
)

const errorsPage = "../../docs/reference/errors.md"

var update = flag.Bool("update", false, "write "+errorsPage+" again")

// TestErrorsPage compares the page with the table of the text.
func TestErrorsPage(t *testing.T) {
	want := page(load(t))
	if *update {
		if err := os.WriteFile(errorsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(errorsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go generate ./web/contract (-want +got):\n%s", diff)
	}
}

func page(c *contract.Contract) string {
	var b strings.Builder
	b.WriteString(`# Errors of the API

Generated from web/openapi.yaml; do not edit. Every error is a problem (RFC 9457, ` + "`application/problem+json`" + `). Its
` + "`code`" + ` is stable: branch on it. Its ` + "`detail`" + ` is a sentence for people; it may change, and sometimes says more than the
one below. ` + "`instance`" + ` finds the answer in the server's log. Nothing that was refused was done.

Why a job failed is no error of a call: the request says so in ` + "`failure`" + `.
`)
	about := ""
	for _, p := range c.Problems() {
		if p.About != about {
			about = p.About
			fmt.Fprintf(&b, "\n## %s\n\n| code | status | sentence | more |\n| --- | --- | --- | --- |\n", about)
		}
		fmt.Fprintf(&b, "| `%s` | %d %s | %s | %s |\n", p.Code, p.Status, http.StatusText(p.Status), p.Detail, p.Help)
	}
	return b.String()
}
