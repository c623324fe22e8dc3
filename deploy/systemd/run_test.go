package systemd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"secretsbridge/deploy/container"
	"secretsbridge/deploy/ground"
)

func TestMain(m *testing.M) {
	container.Init()
	os.Exit(m.Run())
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// page are the blocks of a language of the page that says how to install, in their order.
func page(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/how-to/install-systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

const folder = "/srv/page" // where the page is followed

// put writes a secret into the agent's store, which belongs to the account that exists only while a unit runs.
const put = `[Service]
Type=oneshot
DynamicUser=yes
User=sb-agent
StateDirectory=sb-agent
Environment=SB_AGENT_DIR=/var/lib/sb-agent
StandardInput=data
StandardInputText={"password":"canary-of-the-unit"}
ExecStart=/usr/local/bin/sb-agent put --config /etc/sb-agent/agent.yaml store/prod/app
`

// TestSystemdRunsTheUnits follows docs/how-to/install-systemd.md to the letter on a machine whose process 1 is
// systemd, with a real Postgres and a real Vault: the server comes up in what its unit lets it, an agent
// enrols and brings a value, and both come back after a kill.
func TestSystemdRunsTheUnits(t *testing.T) {
	names := map[string]string{"bridge.example.com": "127.0.0.1", "postgres.example.com": "127.0.0.1"}
	if ground.Alone(t, names) {
		return
	}
	repository, err := container.Repository()
	if err != nil {
		t.Fatal(err)
	}
	vault := ground.Vault(t)
	database := ground.Postgres(t, "bridge")
	ca, cert, key := ground.Certificate(t, "bridge.example.com")
	url := func(login string) string { return "postgres://" + login + "@" + database + "/bridge?sslmode=disable" }
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	unit := page(t, "ini")
	if len(unit) != 3 {
		t.Fatalf("the page has %d blocks of settings", len(unit))
	}
	in := strings.TrimPrefix(folder, "/")
	files := map[string]string{
		"etc/hosts":                    string(hosts),
		"usr/local/bin/sudo":           "#!/bin/sh\nexec \"$@\"\n", // this machine has none, and the test is root
		"usr/local/bin/make":           "#!/bin/sh\n[ \"$*\" = build ]\n",
		in + "/tls.crt":                cert,
		in + "/tls.key":                key,
		in + "/leaf-ca.pem":            ca,
		in + "/ca.pem":                 ca,
		in + "/owner-url":              url("postgres"),
		in + "/sb-agent.env":           "SB_ENROL_SERVER=https://bridge.example.com:8443\n",
		in + "/agent.yaml":             "connections:\n  store:\n    provider: file\n    dir: /var/lib/sb-agent/store\n    identity_file: /var/lib/sb-agent/age.key\n    allow: [prod]\n",
		in + "/sb-server.env":          edit(t, unit[0], map[string]string{"SB_DATABASE_URL": url("sb_app"), "SB_NATS_URL": "", "SB_NATS_CA_FILE": "", "SB_LEAF_URLS": "tls://bridge.example.com:7422\nSB_LEAF_ADDR=0.0.0.0:7422", "SB_KMS_TRANSIT_ADDR": vault.Address, "SB_KMS_TRANSIT_KEY": "bridge", "SB_KMS_TRANSIT_ROLE_ID": vault.RoleID}),
		"etc/secrets-bridge/secret-id": vault.SecretID,
		"etc/systemd/system/sb-server.service.d/kms.conf": unit[1],
		"etc/systemd/system/put.service":                  put,
	}
	m := startMachine(t, files)
	follow := func(dir, script string) string {
		t.Helper()
		out, err := m.run(dir, script)
		if err != nil {
			journal, _ := m.run("/", "journalctl --no-pager --lines 60 -u sb-server -u sb-agent -u put || true")
			t.Fatalf("%s\n%v\n%s\n%s", script, err, out, journal)
		}
		return out
	}
	follow("/", "ln -s "+filepath.Join(repository, "bin")+" "+filepath.Join(repository, "deploy")+" "+folder)
	follow("/", "chmod 0600 /etc/secrets-bridge/secret-id")

	blocks := page(t, "sh")
	if len(blocks) != 4 {
		t.Fatalf("the page has %d blocks of commands", len(blocks))
	}
	var said string
	for _, block := range blocks[:3] {
		said = follow(folder, block)
	}
	journal := new(ground.Log)
	link := regexp.MustCompile(`https://bridge\.example\.com:8443/\S+`).FindString(said)
	if link == "" {
		t.Errorf("the first person: %s", said)
	}
	people := ground.Invite(t, "https://bridge.example.com:8443", ca, func(args ...string) string {
		return follow("/", "SB_DATA_DIR=/var/lib/secrets-bridge sb-server "+strings.Join(args, " ")+" 2>/dev/null")
	})
	people.SB(t, "admin", "", "connection", "create", "store", "--provider", "file", "--cluster", "one")
	token := people.SB(t, "admin", "", "agent", "invite", "one", "--cluster", "one")
	follow(folder, "umask 077 && echo "+token+" > token")
	follow(folder, blocks[3])
	follow("/", "systemctl start put")
	if got := people.Read(t, "store/prod/app", journal); !strings.Contains(got, "canary-of-the-unit") {
		t.Errorf("revealed %q", got)
	}

	// Who they are, and what became of the words of the units.
	for _, name := range []string{"sb-server", "sb-agent"} {
		status := follow("/", "cat /proc/$(systemctl show --property MainPID --value "+name+")/status")
		for _, want := range []string{"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(status, want) {
				t.Errorf("%s has not %q:\n%s", name, want, status)
			}
		}
		if strings.Contains(status, "Uid:\t0") {
			t.Errorf("%s runs as root", name)
		}
	}

	// Both come back by themselves, the agent without the token.
	follow("/", "systemctl kill --signal KILL sb-server sb-agent")
	ground.Eventually(t, "both are back", journal, func() bool {
		out, err := m.run("/", "systemctl show --property NRestarts --value sb-server sb-agent | tr -d '\\n' && sb-agent status --dir /var/lib/sb-agent --output json")
		return err == nil && strings.HasPrefix(out, "11") && strings.Contains(out, `"link": "up"`)
	})
	if got := people.Read(t, "store/prod/app", journal); !strings.Contains(got, "canary-of-the-unit") {
		t.Errorf("revealed %q after a restart", got)
	}
	follow("/", "systemctl stop sb-agent sb-server")
	if out := follow("/", "systemctl show --property Result --value sb-server sb-agent"); strings.Join(strings.Fields(out), " ") != "success success" {
		t.Errorf("they stop with %q", out)
	}
}

// edit replaces settings of a file of the environment, and leaves out those that become empty.
func edit(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "=")
		value, ok := values[name]
		switch {
		case !ok:
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		case value != "":
			lines = append(lines, name+"="+value)
		}
		delete(values, name)
	}
	if len(values) > 0 {
		t.Fatalf("the page has no settings %v", values)
	}
	return strings.Join(lines, "\n") + "\n"
}
