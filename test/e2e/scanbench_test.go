package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"secretsbridge/test/servers/awssm"
	"secretsbridge/web/api"
)

// BenchmarkScan scans 100,000 secrets with four tags each, end to end: `sb discover`, control
// plane, agent, and a fake of AWS Secrets Manager that answers at once. "list-s" is the raw
// baseline, the same list by AWS's SDK alone; "ratio" is the first scan to it. "rescan-s" is
// the second scan, which finds nothing new; "rescan-commits" is what it appended.
// "agent-MB" is the most that the agent had resident, of which "agent-idle-MB" before.
func BenchmarkScan(b *testing.B) {
	const secrets = 100_000
	for b.Loop() {
		store := awssm.Start(b)
		for i := range secrets {
			name := fmt.Sprintf("team-%02d/service-%03d/secret-%06d", i%50, i%700, i)
			store.Seed(name, `{"k":"v"}`)
			store.SetTag(name, "Team", fmt.Sprint("team-", i%50))
			store.SetTag(name, "Environment", []string{"prod", "staging", "dev"}[i%3])
			store.SetTag(name, "CostCentre", fmt.Sprint(4000+i%900))
			store.SetTag(name, "ManagedBy", "terraform")
		}
		c := start(b, "SB_LOG_LEVEL=WARN")
		c.login(b, "developer", "admin")
		c.must(b, "admin", "connection", "create", "aws", "--provider", "aws-secrets-manager", "--cluster", "cloud")
		f := c.agent(b, "cloud", cloudConfig(store)+"    requests_per_second: 10000\n", append(cloudEnvironment(), "SB_LOG_LEVEL=WARN")...)
		time.Sleep(3 * time.Second) // an agent that has just started is not what is measured
		idle := resident(b, f.cmd.Process.Pid)
		raw := rawList(b, store, secrets)

		first := c.timedScan(b)
		if first.job.Progress.Found != secrets {
			b.Fatalf("the first scan met %+v", first.job.Progress)
		}
		again := c.timedScan(b)
		if again.job.Progress.Found != 0 || again.job.Progress.Changed != 0 || again.job.Progress.Secrets != secrets {
			b.Fatalf("the second scan met %+v", again.job.Progress)
		}
		b.ReportMetric(raw.Seconds(), "list-s")
		b.ReportMetric(first.took.Seconds(), "scan-s")
		b.ReportMetric(first.took.Seconds()/raw.Seconds(), "ratio")
		b.ReportMetric(secrets/first.took.Seconds(), "secrets/s")
		b.ReportMetric(again.took.Seconds(), "rescan-s")
		b.ReportMetric(float64(again.commits), "rescan-commits")
		b.ReportMetric(idle, "agent-idle-MB")
		b.ReportMetric(peak(b, f.cmd.Process.Pid), "agent-MB")
		b.ReportMetric(0, "ns/op")
	}
}

type timed struct {
	job     api.Job
	took    time.Duration // from when it was queued to its end, by the server's clock
	commits int           // from the one that queued it to the one that ended it
}

// timedScan scans and waits as long as it takes.
func (c *control) timedScan(b *testing.B) (t timed) {
	b.Helper()
	id := first(c.must(b, "admin", "discover", "aws", "--no-wait"))
	eventually(b, 10*time.Minute, "the scan is over", func() bool {
		if err := json.Unmarshal([]byte(c.must(b, "admin", "job", "show", id, "--output", "json")), &t.job); err != nil {
			b.Fatal(err)
		}
		return t.job.EndedAt != nil
	})
	if t.job.State != "finished" {
		b.Fatalf("the scan ended as %+v", t.job)
	}
	t.took = t.job.EndedAt.Sub(t.job.QueuedAt)
	for _, e := range lines[api.Event](b, c.must(b, "admin", "audit", "list", "--limit", "200", "--output", "json")) {
		if strings.HasPrefix(e.Type, "sb.job.") && strings.HasSuffix(e.Stream, id) || strings.HasPrefix(e.Type, "sb.inventory.") && strings.Contains(e.Stream, id) {
			t.commits++
		}
	}
	return t
}

// rawList is how long the SDK takes for the same list.
func rawList(b *testing.B, store *awssm.Server, want int) time.Duration {
	b.Helper()
	env := awssm.Environment()
	client := secretsmanager.New(secretsmanager.Options{
		Region: awssm.Region, BaseEndpoint: aws.String(store.Address),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"]),
	})
	began, got := time.Now(), 0
	pages := secretsmanager.NewListSecretsPaginator(client, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		got += len(page.SecretList)
	}
	if got != want {
		b.Fatalf("%d secrets are listed", got)
	}
	return time.Since(began)
}

// peak is VmHWM of a process, in MB of 10^6 bytes.
func peak(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
