package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/web/api"
)

// payments is a team with production and staging on the demo's file store: production takes two
// steps, staging is read at once, and one secret is closed to others.
const payments = `# Who may do what with the money.
kind: Team
name: payments
spec:
  members:
  - developer@demo.local
  heads:
  - approver@demo.local
---
kind: Project
name: payments
spec:
  team: payments
  environments:
  - name: prod
    kind: prod
  - name: staging
    kind: non-prod
---
kind: Binding
name: payments-prod
spec:
  connection: file
  prefix: prod/
  project: payments
  environment: prod
  operations: [patch, read]
---
kind: Binding
name: payments-staging
spec:
  connection: file
  prefix: staging/
  project: payments
  environment: staging
  operations: [read]
---
kind: Group
name: guards
spec:
  members: [GUARD@demo.local]
---
kind: Group
name: security
spec:
  members: [SECURITY@demo.local]
`

const paymentsRules = `kind: Workflow
name: production
spec:
  description: two of those who decide, then security
  steps:
  - id: team
    approvals: 2
    from:
      roles: [approver]
    remind_after_seconds: 3600
  - id: security
    approvals: 1
    from:
      groups: [security]
    escalate_after_seconds: 60 # the least there is
    fallback:
      people: [FALLBACK@demo.local]
  veto:
    groups: [guards]
  delegation: true
  justification:
    min_length: 10
    ticket: "OPS-[0-9]+"
  break_glass:
    from:
      people: [developer@demo.local]
    review:
      team_heads: true
    review_within_seconds: 3600
    min_length: 20
---
kind: Rule
name: production
spec:
  scope:
    project: payments
    environment_kind: prod
  when: '!requester.machine && now.getFullYear("Europe/Berlin") >= 2020'
  effect: require
  workflow: production
---
kind: Rule
name: look-at-once
spec:
  description: counts for staging; production is never read at once
  priority: 10
  scope:
    project: payments
  operations: [read]
  when: '"payments" in requester.teams'
  effect: reveal
  reveal_ttl_seconds: 120
---
kind: Rule
name: stripe-is-ours
spec:
  scope:
    connection: file
    prefix: prod/payments
  when: '!("payments" in requester.teams)'
  effect: deny
`

// governed writes the files, with the people who are named in them.
func governed(t testing.TB, guard, security, fallback string) string {
	t.Helper()
	dir := t.TempDir()
	people := strings.NewReplacer("GUARD", guard, "SECURITY", security, "FALLBACK", fallback)
	for name, text := range map[string]string{"team.yaml": payments, "sub/rules.yaml": paymentsRules} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(people.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// says looks for texts in what sb printed.
func says(t testing.TB, got string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in\n%s", text, got)
		}
	}
}

// TestTheGovernanceLivesInFiles brings files to a server, twice, and takes them back; then others
// must approve what changes.
func TestTheGovernanceLivesInFiles(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "admin", "developer", "approver")
	c.join(t, "second", "admin")
	c.join(t, "stranger", "developer")
	dir := governed(t, "approver", "approver", "approver")
	const prod, stripe = "file/prod/db/password", "file/prod/payments/stripe"
	c.must(t, "developer", "request", "read", prod, "--reason", "of before there were rules")
	c.must(t, "stranger", "request", "read", stripe, "--reason", "of before there were rules")

	says(t, c.must(t, "admin", "policy", "simulate", "-f", dir), "2 past requests decided again: 2 would go another way",
		"refused (denied_by_rule)", "production (3 approvals)", "stranded: binding payments-prod, rule production, workflow production, step team: it needs 2 different people")
	if before := c.must(t, "admin", "policy", "explain", prod, "--person", c.idOf(t, "developer")); !strings.Contains(before, "workflow one-approval") {
		t.Errorf("a simulation changed something:\n%s", before)
	}
	c.must(t, "nobody", "lint", dir)
	plan := c.refused(t, "admin", 9, "differs", "apply", "-f", dir, "--dry-run")
	says(t, plan.stdout, "Workflow/production", "Rule/stripe-is-ours")
	c.refused(t, "developer", 4, "forbidden", "apply", "-f", dir, "--yes")
	says(t, c.must(t, "admin", "apply", "-f", dir, "--yes", "--note", "the money gets rules"), "the governance is now version 1")
	says(t, c.must(t, "admin", "apply", "-f", dir, "--yes"), "nothing changes")
	c.must(t, "admin", "apply", "-f", dir, "--dry-run")

	t.Run("what is wrong is told with its place and changes nothing", func(t *testing.T) {
		wrong := filepath.Join(t.TempDir(), "wrong.yaml")
		text := "kind: Rule\nname: broken\nspec:\n  effect: require\n  workflow: production\n  when: requester.nme == \"x\"\n"
		if err := os.WriteFile(wrong, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		lint := c.sb(t, "nobody", "lint", wrong)
		says(t, lint.stdout, "wrong.yaml:6", "broken")
		if lint.code != 2 {
			t.Errorf("lint ends with %d", lint.code)
		}
		says(t, c.refused(t, "admin", 2, "files_invalid", "apply", "-f", wrong, "--yes").stderr, "wrong.yaml:6")
		if history := c.must(t, "admin", "governance", "history"); strings.Contains(history, "broken") {
			t.Errorf("it counts:\n%s", history)
		}
	})
	t.Run("what is exported changes nothing", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		c.must(t, "admin", "export", "-o", out)
		c.must(t, "nobody", "lint", out)
		says(t, c.must(t, "admin", "apply", "-f", out, "--prune", "--yes"), "nothing changes")
		if again := c.must(t, "admin", "export"); again != c.must(t, "second", "export") || !strings.Contains(again, "one-approval") || strings.Contains(again, "@demo.local") {
			t.Errorf("the export:\n%s", again)
		}
	})
	t.Run("the rules say why", func(t *testing.T) {
		of := func(who, secret string) string { return c.must(t, who, "policy", "explain", secret) }
		says(t, of("developer", prod), "allowed once workflow production approves it, by rule production", "look-at-once", "prod")
		says(t, of("developer", "file/staging/mail/smtp"), "allowed at once, by rule look-at-once")
		says(t, of("approver", stripe), "allowed once workflow production") // a head is of the team
		says(t, of("second", stripe), "refused (no_permission)")
		says(t, of("stranger", stripe), "refused (denied_by_rule)", "stripe-is-ours")
		c.refused(t, "stranger", 4, "policy_denied", "request", "read", stripe, "--reason", "just looking", "--ticket", "OPS-1")
	})
	t.Run("others must approve what changes", func(t *testing.T) {
		settings := filepath.Join(dir, "settings.yaml")
		text := "kind: Settings\nname: installation\nspec:\n  amendments:\n    kinds: [Rule, Workflow]\n    approvals: 1\n    from:\n      roles: [admin]\n"
		if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		says(t, c.must(t, "admin", "apply", "-f", dir, "--yes"), "version 2")

		rules := filepath.Join(dir, "sub", "rules.yaml")
		if err := os.WriteFile(rules, []byte(strings.NewReplacer("FALLBACK", "approver", "OPS-[0-9]+", "PAY-[0-9]+").Replace(paymentsRules)), 0o644); err != nil {
			t.Fatal(err)
		}
		waiting := c.refused(t, "admin", 9, "waits for approval", "apply", "-f", dir, "--yes", "--note", "tickets moved")
		_, amendment, _ := strings.Cut(strings.TrimSpace(waiting.stdout), "proposed amendment ")
		if amendment == "" {
			t.Fatalf("no amendment is named:\n%s", waiting.stdout)
		}
		c.refused(t, "admin", 9, amendment, "apply", "-f", dir, "--yes", "--note", "tickets moved") // the same one
		says(t, c.must(t, "second", "amendment", "list", "--state", "open"), amendment, "0 of 1", "tickets moved")
		says(t, c.must(t, "second", "amendment", "show", amendment), "PAY-[0-9]+", "OPS-[0-9]+")
		if got := c.must(t, "admin", "export"); !strings.Contains(got, "OPS-[0-9]+") {
			t.Error("it counts before it is approved")
		}
		c.refused(t, "admin", 4, "own_amendment", "amendment", "approve", amendment)
		c.refused(t, "approver", 4, "forbidden", "amendment", "approve", amendment)
		says(t, c.must(t, "second", "amendment", "approve", amendment), "version 3")
		says(t, c.must(t, "admin", "apply", "-f", dir, "--yes"), "nothing changes")
		if got := c.must(t, "admin", "export"); !strings.Contains(got, "PAY-[0-9]+") {
			t.Error("it does not count after it was approved")
		}

		// Also what would switch the approvals off.
		if err := os.Remove(settings); err != nil {
			t.Fatal(err)
		}
		says(t, c.refused(t, "admin", 9, "waits for approval", "apply", "-f", dir, "--prune", "--yes").stdout, "Settings/installation")
		var g api.Governance
		c.asked(t, &g, "admin", "export")
		if g.Version != 3 {
			t.Errorf("the governance is version %d", g.Version)
		}
		says(t, c.must(t, "admin", "governance", "history"), "the money gets rules", "tickets moved")
	})
}
