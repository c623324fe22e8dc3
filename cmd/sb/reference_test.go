package main

import (
	"fmt"
	"strings"
	"testing"

	"secretsbridge/internal/clidoc"
	"secretsbridge/internal/clidoc/clidoctest"
)

// TestReferenceIsCurrent compares the reference with the command tree. go generate
// writes it.
func TestReferenceIsCurrent(t *testing.T) {
	clidoctest.IsCurrent(t, "../../docs/reference/cli.md", reference())
}

func reference() string {
	var b strings.Builder
	root := command()
	b.WriteString(`# Command line

Generated from the commands of ` + "`sb`" + `; do not edit.

` + root.Long + `

## What scripts can rely on

- Standard output is the answer and nothing else; hints, questions and errors go to standard error.
- With ` + "`--output json`" + ` the answer is exactly the API's objects (docs of the API: ` + "`/api/v1/openapi.yaml`" + ` of a server),
  one line each; a list is one array, and one that is shown page by page is whole if the exit code is 0. Characters that
  are not printable are escaped, which means the same in JSON. ` + "`login`" + ` shows the person and never the token. In text,
  whatever somebody else wrote is shown with escapes too.
- An error is one line, ` + "`sb: SENTENCE (CODE)`" + `. The codes are the server's, or those below.
- Queries, and commands whose answer was lost, are tried three times in all; a command keeps its Idempotency-Key, so
  it is done once. A query includes what an earlier command of the same session did.
- A password, a token or a value is never an argument. ` + "`SB_TOKEN_FILE`" + ` holds the session's token alone, with mode 0600
  (it is refused if others may read it), and ` + "`SB_TOKEN_FILE.key`" + ` the key that signs the session's calls, likewise; what is no
  secret is beside them in ` + "`SB_TOKEN_FILE.state`" + `, with the server that the token is for. The token alone is of no use.
- Calls are signed, and what is shown was signed by the server as the answer to that call (docs/security/envelopes.md). An
  answer that was not is ` + "`altered`" + `. Nothing is asked for or decided before the server has shown by one answer that it signs
  with the key that it is known by. If the answer to a command itself is ` + "`altered`" + `, it is not known whether it was done, so look before
  trying again.
- The server's address is ` + "`https`" + ` and its certificate is checked; there is no way around either. Without ` + "`--ca`" + ` the
  system's roots count, and with it only the CA in that file, over TLS 1.3.

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | a fault of this program, its files, or what it talks to |
| 2 | called wrongly: flags, arguments, environment; also where only the server can tell (the status is 400, such as for parameter_invalid) |
| 3 | not signed in, or the session has ended |
| 4 | refused by the rules, or for what the text of a field is; trying again changes nothing |
| 5 | not found, or not yours to see: the status is 404, or the code ends in _unknown |
| 6 | not possible now; trying again may help |
| 7 | what was followed has ended otherwise: a request without being executed, a job without being finished |
| 8 | a second factor has to be proved first |
| 10 | what was verified is not what was signed |

| code of its own | exit code | means |
| --- | --- | --- |
`)
	for _, c := range localCodes {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", c.code, c.exit, c.says)
	}
	b.WriteString("\n## Flags of every command\n\n")
	clidoc.Flags(&b, root.PersistentFlags())
	b.WriteString("\n## Commands\n")
	clidoc.Describe(&b, root)
	return b.String()
}

// TestEveryCodeIsDocumentedOnce keeps fail from being asked for a code that is not there.
func TestEveryCodeIsDocumentedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range localCodes {
		if seen[c.code] {
			t.Errorf("code %s is there twice", c.code)
		}
		seen[c.code] = true
		if f := explain(fail(c.code, "because")); f.exit != c.exit || f.code != c.code {
			t.Errorf("fail(%s) = %+v", c.code, f)
		}
	}
}
