package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/doctor"
	"secretsbridge/internal/build"
)

// examTime bounds each check of the doctor. All are made at the same time, and those that stand on
// Postgres, the key manager and NATS wait for each other.
const examTime = 25 * time.Second

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look at what this server stands on, and say what to do next",
		Long: "Looks at the configuration, the data directory, Postgres, NATS, the log, the key manager, clocks, certificates, what is called\n" +
			"outside, agents and witnesses, with the environment of `sb-server serve` (or of `sb-server dev`). It changes nothing, and may be\n" +
			"run while servers run and while nothing does. Each check is bounded, and all are made whatever the others come to; one that\n" +
			"could not be made is told as unknown. It prints no value, token, key or password.\n" +
			"docs/how-to/when-something-is-wrong.md explains each check. Exit codes: 0 where all is well, 1 where something failed, 2 where\n" +
			"nothing failed and something is a warning or unknown.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x := newExamination(os.Environ())
			defer x.close()
			report := x.exam().Look(cmd.Context(), x.checks())
			write := report.WriteText
			if asJSON {
				write = report.WriteJSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return err
			}
			return report.Err()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON document")
	return cmd
}

func (x *examination) exam() doctor.Exam {
	return doctor.Exam{Program: "sb-server", Version: build.Version(), Limit: examTime, Scrub: x.hide, Now: time.Now}
}

// checks are all that the doctor looks at, in the order in which they are told.
func (x *examination) checks() []doctor.Check {
	return slices.Concat([]doctor.Check{
		{Name: "configuration.settings", Look: x.settingsAreRight},
		{Name: "configuration.names", Look: x.settingsAreKnown},
		{Name: "configuration.profile", Look: x.profileFits},
		{Name: "versions.binary", Look: x.binaryFits},

		{Name: "data.folder", Look: x.dataFolder},
		{Name: "data.keys", Look: x.dataKeys},
		{Name: "data.space", Look: x.dataSpace},

		{Name: "certificates.api", Look: x.apiCertificate},
		{Name: "certificates.authorities", Look: x.authorities},

		{Name: "server.api", Look: x.apiAnswers},
		{Name: "server.ops", Look: x.opsAnswers},
	}, listed(selfChecks, x.ofServer), []doctor.Check{
		{Name: "postgres.reach", Look: x.postgresReached},
		{Name: "postgres.schema", Look: x.postgresSchema},
		{Name: "postgres.facts", Look: x.postgresFacts},
		{Name: "postgres.login", Look: x.postgresLogin},
		{Name: "postgres.audit", Look: x.postgresAudit},
		{Name: "postgres.durability", Look: x.postgresDurability},
		{Name: "postgres.connections", Look: x.postgresConnections},

		{Name: "kms.reach", Look: x.kmsReached},
		{Name: "kms.probe", Look: x.kmsProbed},
		{Name: "kms.age", Look: x.kmsAge},
		{Name: "kms.envelopes", Look: x.kmsEnvelopes},
		{Name: "keys.ring", Look: x.keysOpen},

		{Name: "nats.reach", Look: x.natsReached},
		{Name: "nats.certificates", Look: x.natsCertificates},
	}, listed(natsChecks, x.ofNATS), []doctor.Check{
		{Name: "log.checkpoint", Look: x.logCheckpoint},
		{Name: "log.views", Look: x.logViews},

		{Name: "clocks.postgres", Look: x.clockOfPostgres},
		{Name: "clocks.nats", Look: x.clockOfNATS},
		{Name: "clocks.kms", Look: x.clockOfKMS},

		{Name: "agents.heard", Look: x.agentsHeard},
		{Name: "agents.witness", Look: x.agentsWitness},
		{Name: "witnesses.outside", Look: x.outsideWitnesses},

		{Name: "outside.mail", Look: x.mailReached},
		{Name: "outside.sign-on", Look: x.signOnReached},
		{Name: "outside.syslog", Look: x.syslogReached},
		{Name: "outside.traces", Look: x.tracesReached},
		{Name: "outside.notices", Look: x.noticesSent},
	})
}

// listed makes a check of each name.
func listed(names []string, of func(string) func(context.Context) doctor.Seen) (all []doctor.Check) {
	for _, name := range names {
		all = append(all, doctor.Check{Name: name, Look: of(name)})
	}
	return all
}

// hide takes out of a sentence what nobody is to read: values of settings that are secrets, and
// passwords in addresses, whoever repeats them.
func (x *examination) hide(text string) string { return x.secrets.hide(text) }

// see says where something is explained.
func see(page string) string { return fmt.Sprintf("docs/%s", page) }
