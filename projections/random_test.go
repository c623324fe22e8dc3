package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

// Any facts in any order, also those that no decider would allow and texts that
// Postgres does not take: they fold, and any cutting into batches, with a stop after
// any of them, gives the bytes that one fold from the beginning gives.
func TestAnyHistoryFoldsAndAnyCuttingGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	empty := &commandtest.Memory{}
	rapid.Check(t, func(r *rapid.T) {
		if _, err := projections.Rebuild(context.Background(), db.Owner, empty); err != nil {
			r.Fatal(err)
		}
		log := &commandtest.Memory{}
		for n, c := range rapid.SliceOfN(rapid.Custom(anyCommit), 1, 25).Draw(r, "commits") {
			for i := range c {
				c[i].ID += events.EventID(fmt.Sprintf("/%d", n)) // no log has the same event twice
			}
			if _, err := log.Append(context.Background(), c[0].Stream, events.AnySeq, c); err != nil {
				r.Fatal(err)
			}
		}
		last, _ := log.Last(context.Background())
		for upto := events.Seq(0); upto < last; {
			upto = min(last, upto+events.Seq(rapid.IntRange(1, 12).Draw(r, "prefix")))
			pieces := rapid.SliceOfN(rapid.IntRange(1, 5), 12, 12).Draw(r, "pieces")
			i := 0
			foldPrefix(r, db.App, cut{prefix{log, upto}, func() int { i++; return pieces[i%len(pieces)] }}, upto)
		}
		differences, err := compare(context.Background(), db, log)
		if err != nil || len(differences) > 0 {
			r.Fatalf("verify: %v, %v", differences, err)
		}
		checkDerived(r, db.App)
		checkOwners(r, db.App, handsOf(t, log))
	})
}

// prefix is a log of which only the beginning was written so far.
type prefix struct {
	*commandtest.Memory
	last events.Seq
}

func (p prefix) Last(context.Context) (events.Seq, error) { return p.last, nil }

var errEnd = errors.New("the end of the prefix")

func (p prefix) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	for seq := after + 1; seq <= p.last; seq++ {
		c, err := p.At(ctx, seq)
		if err != nil {
			return err
		}
		if err := deliver(ctx, []events.Recorded{c}); err != nil {
			return err
		}
	}
	return errEnd
}

func anyCommit(r *rapid.T) []events.Event {
	streams := []events.Stream{
		events.RequestStream("r_1"), events.RequestStream("r_2"), events.AgentStream("a_1"),
		events.ConnectionStream("c1"), events.AccessStream("user:u_1"),
		events.IntegrationStream("i1"), events.IntegrationStream("i2"), events.SettingKMS(), events.SettingOwnership(), events.UserStream("u_1"), events.UserStream("u_2"), events.GovernanceStream(), events.JobStream("j_1"), events.PageStream("j_1", 1),
		events.SecretStream(events.SecretOf("c1", "a")),
	}
	facts := rapid.SliceOfN(rapid.Custom(anyFact), 1, 4).Draw(r, "facts")
	return commit(rapid.SampledFrom(streams).Draw(r, "stream"), events.Actor(anyText(r, "actor")),
		"c_"+anyText(r, "command"), anyTime(r, "time"), facts...)
}

func anyText(r *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "a", "b", "\x00", `\u0000`, "tab\tline\n", "é\u2028", "\\N", `"quoted'`, "\xff"}).Draw(r, label)
}

func anyTime(r *rapid.T, label string) time.Time {
	return rapid.SampledFrom([]time.Time{
		{}, day, day.Add(time.Nanosecond), day.Add(1999 * time.Nanosecond), day.In(time.FixedZone("east", 3600)),
		time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC),
	}).Draw(r, label)
}

func anyFact(r *rapid.T) events.Fact {
	s := func(label string) string { return anyText(r, label) }
	id := func() events.EnvelopeID { return events.EnvelopeID(s("envelope")) }
	t := func(label string) time.Time { return anyTime(r, label) }
	n := rapid.SampledFrom([]int{0, 1, -1, 1 << 40}).Draw(r, "number")
	seconds := rapid.SampledFrom([]int{0, 1, -1, 60, 1 << 60}).Draw(r, "seconds")
	approvers := events.Approvers{People: []events.UserID{events.UserID(s("person"))}, Groups: []string{s("group")}}
	facts := []events.Fact{
		events.RequestSubmitted{
			Request: "r_1", PendingUntil: t("pending until"), Ticket: s("ticket"),
			Place: events.Place{Project: s("project"), Environment: s("environment"), Kind: events.EnvironmentKind(s("kind")), Team: s("team"), Owner: s("owner")},
			Workflow: events.Workflow{
				Veto: &approvers, Delegation: n > 0, BreakGlass: &events.BreakGlass{From: approvers, ReviewSeconds: n}, Direct: n < 0,
				Steps: []events.Step{
					{ID: "a", Approvals: 1, From: approvers, RemindSeconds: seconds, EscalateSeconds: seconds, Fallback: approvers},
					{ID: events.StepID(s("step")), Approvals: n, From: approvers, RemindSeconds: seconds},
				},
			},
		},
		events.RequestSubmitted{
			Request: "r_1", Operation: events.Operation(s("operation")), Changes: []events.Change{{Key: "a"}},
			Fill:     &events.Fill{Team: s("team"), Until: t("fill until")},
			Workflow: events.Workflow{Steps: []events.Step{{ID: "a", Approvals: 1, RemindSeconds: seconds}}}, PendingUntil: t("pending until"),
		},
		events.ValuesProvided{By: events.UserID(s("by")), Changes: []events.Change{{Key: s("key")}}, Comment: s("comment")},
		events.ValuesRefused{By: events.UserID(s("by")), Comment: s("comment")},
		events.ApprovalGiven{Step: "a", Via: []events.UserID{events.UserID(s("via"))}},
		events.StepReminded{Step: events.StepID(s("step")), Number: n},
		events.StepEscalated{Step: events.StepID(s("step"))},
		events.GlassBroken{Reason: s("reason"), ReviewUntil: t("review until")},
		events.GlassReviewed{By: events.UserID(s("by")), Outcome: events.ReviewOutcome(s("outcome")), Comment: s("comment")},
		events.ReviewOverdue{},
		events.RequestSubmitted{
			Request: "r_1", Requester: events.UserID(s("requester")), Ref: s("ref"), Keys: []string{s("key")}, Reason: s("reason"),
			Workflow:     events.Workflow{Name: s("workflow"), Steps: []events.Step{{ID: events.StepID(s("step")), Approvals: n}}},
			PendingUntil: t("pending until"), ApprovalSeconds: n, RevealSeconds: n,
		},
		events.RequestSubmitted{
			Request: "r_1", Operation: events.OperationPatch, Create: n > 0, ValuesUntil: t("values until"),
			Changes: []events.Change{{Key: "a", Action: events.ChangeAction(s("action")), Fingerprint: s("fingerprint")}, {Key: s("key")}},
		},
		events.PatchCompared{
			Number: n, Exists: n > 0, Version: s("version"), Problem: events.FailureCode(s("problem")),
			Keys: []events.Compared{{Key: "a", Effect: events.Effect(s("effect"))}, {Key: s("key"), Before: s("before")}},
		},
		events.ApprovalsVoided{Version: s("version")},
		events.EnvelopeDelivered{Envelope: id(), Attempt: n},
		events.WriteBegun{Version: s("version")},
		events.OutcomeUnknown{Until: t("until")},
		events.RequestExecuted{Outcome: events.PatchOutcome(s("outcome")), PreviousVersion: s("version")},
		events.ApprovalGiven{Step: events.StepID(s("step")), Comment: s("comment")},
		events.RequestApproved{Job: events.JobID(s("job")), Until: t("until")},
		events.RequestRejected{Comment: s("comment")},
		events.RequestCancelled{Comment: s("comment")},
		events.RequestExpired{From: events.RequestState(s("state"))},
		events.JobStarted{Agent: events.AgentID(s("agent")), Attempt: n},
		events.LeaseLost{Attempt: n},
		events.EnvelopeStored{Envelope: id(), Key: s("key"), Fingerprint: s("fingerprint"), KMSKey: s("kms"), Expires: t("expires")},
		events.RequestExecuted{ProviderVersion: s("version")},
		events.RolloutBegun{
			Watches: []events.Watch{{Number: 1, Integration: "argo", Target: events.RolloutTarget{Name: s("target")}}, {Number: 2, Mapping: events.MappingID(s("mapping"))}},
			Left:    n, Version: s("version"), Written: t("written"), Until: t("until"),
		},
		events.RolloutObserved{Number: 1, Progress: events.RolloutProgress{Sync: s("sync"), Reached: t("reached"), Live: n, Laggards: []string{s("laggard")}}},
		events.RolloutSettled{Number: 2, State: events.WatchState(s("watch state")), Progress: events.RolloutProgress{Problem: events.RolloutProblem(s("problem"))}},
		events.RolloutSettled{Number: n, State: events.WatchApplied},
		events.RequestApplied{},
		events.RequestFailed{Code: events.FailureCode(s("code")), Detail: s("detail")},
		events.EnvelopeRevealed{Envelope: id(), By: events.UserID(s("by"))},
		events.RevealFailed{Envelope: id(), Code: events.FailureCode(s("code"))},
		events.EnvelopeExpired{Envelope: id()},
		events.EnrolmentTokenIssued{Name: s("name"), TokenHash: s("hash"), Expires: t("expires")},
		events.AgentEnrolled{Account: s("account"), BoxKey: s("box")},
		events.AgentCredentialsIssued{UserKey: s("key"), Expires: t("expires")},
		events.AgentConnected{Version: s("version")},
		events.AgentLost{LastSeen: t("seen")},
		events.AgentRevoked{Reason: s("reason")},
		events.ConnectionCreated{Provider: events.ProviderKind(s("provider")), Description: s("description")},
		events.ConnectionDisabled{Reason: s("reason")},
		events.ConnectionEnabled{},
		events.SignedIn{User: events.UserID(s("user"))},
		events.AuditExported{Filters: []string{s("filter")}},
		events.AuditRead{Reading: events.ReadingEvents, Filters: []string{s("filter")}},
		events.AuditCompared{UpTo: 7, Differences: 1, Tables: []string{s("table")}},
		events.SupportBundleTaken{Bytes: 7, SHA256: s("digest")},
		events.EvidenceExported{Request: events.RequestID(s("request"))},
		events.SessionRenewed{User: events.UserID(s("user"))},
		events.LinkExpired{Purpose: events.LinkInvitation},
		events.TokenExpired{Token: events.TokenID(s("token"))},
		events.FactorAbandoned{Factor: events.FactorID(s("factor")), Kind: events.FactorTOTP},
		events.DelegationExpired{Delegation: events.DelegationID(s("delegation"))},
		events.FactorBegun{Factor: events.FactorID(s("factor")), Kind: events.FactorTOTP, Until: t("until")},
		events.StepUpBegun{User: events.UserID(s("user"))},
		events.NoticesTested{Delivery: events.DeliveryID(s("delivery"))},
		events.IntegrationTested{Delivery: events.DeliveryID(s("delivery"))},
		events.DeliveryRetried{Delivery: events.DeliveryID(s("delivery"))},
		events.ReportExported{Report: s("report"), Filters: []string{s("filter")}},
		events.AmendmentExpired{Amendment: events.AmendmentID(s("amendment"))},
		events.CheckpointKeyRotated{Serial: 2, Key: s("key")},
		events.LogRestored{Commits: 7, Root: s("root"), At: t("at"), Newer: 9, Unasked: []string{s("witness")}, Kept: n, Destroyed: n},
		events.LegalHoldPlaced{Hold: events.HoldID(s("hold")), Reason: s("reason")},
		events.LegalHoldLifted{Hold: events.HoldID(s("hold")), Reason: s("reason")},
		events.SessionExpired{User: events.UserID(s("user"))},
		events.EnrolmentTokenExpired{},
		events.KMSKeyRotated{KMSKey: s("kms")},
		events.RowsAdopted{People: n, Tokens: n, Left: n},
		events.RewrapStarted{KMSKey: s("kms"), Total: n},
		events.RewrapFinished{KMSKey: s("kms"), Outcome: events.RewrapOutcome(s("outcome")), Moved: n, Failed: n},
		events.AgentKeyRotated{BoxKey: s("box")},
	}
	switch rapid.IntRange(0, 5).Draw(r, "about") {
	case 0, 1:
		facts = anyInventoryFact(r)
	case 2:
		facts = anyUserFact(r)
	case 3:
		facts = anyIntegrationFact(r)
	}
	return rapid.SampledFrom(facts).Draw(r, "fact")
}

// foldPrefix folds a feed that ends.
func foldPrefix(r *rapid.T, pool *pgxpool.Pool, feed command.Feed, upto events.Seq) {
	if err := (&projections.Follower{Pool: pool}).Run(context.Background(), feed); !errors.Is(err, errEnd) {
		r.Fatal(fmt.Errorf("fold up to %d: %w", upto, err))
	}
}

// anyInventoryFact draws from few connections, refs and versions, so that facts are often
// about the same secret.
func anyInventoryFact(r *rapid.T) []events.Fact {
	s := func(label string) string { return anyText(r, label) }
	t := func(label string) time.Time { return anyTime(r, label) }
	n := rapid.SampledFrom([]int{0, 1, -1, 1 << 40}).Draw(r, "number")
	few := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(r, label) }
	connection := func() events.ConnectionID {
		return events.ConnectionID(few("connection", "c1", "c1", "c1", "c2", "no name", ""))
	}
	labels := func() map[string]string {
		return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "\x00", "\uFFFD", "", `\u0000`}),
			rapid.SampledFrom([]string{"a", "b", "", "\x00", "\xff", `{"a":"b"}`}), 0, 4).Draw(r, "labels")
	}
	secrets := func() []events.SecretMetadata {
		return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) events.SecretMetadata {
			return events.SecretMetadata{
				Ref: rapid.SampledFrom([]string{"a", "b", "c", "d", "\x00", "\uFFFD", ""}).Draw(r, "ref"), Labels: labels(),
				Version: rapid.SampledFrom([]string{"1", "2", "3", "", "\x00"}).Draw(r, "version"), Created: anyTime(r, "created"), Updated: anyTime(r, "updated"),
			}
		}), 0, 5).Draw(r, "secrets")
	}
	version := func() string { return few("version", "1", "2", "3", "") }
	return []events.Fact{
		events.SecretsFound{Scan: "j_1", Connection: connection(), Secrets: secrets()},
		events.SecretsFound{Scan: "j_1", Connection: connection(), Secrets: secrets()},
		events.SecretsChanged{Scan: events.JobID(s("scan")), Connection: connection(), Secrets: secrets()},
		events.SecretsGone{Scan: "j_1", Connection: connection(), Refs: []string{few("ref", "a", "b", "c", "\x00"), "d"}},
		events.SecretAssigned{Owner: s("owner"), Environment: s("environment")},
		events.OwnershipRulesSet{Version: n, Rules: []events.OwnershipRule{
			{Connection: connection(), Prefix: few("prefix", "", "a", "\x00"), Labels: labels(), Owner: s("owner"), EnvironmentLabel: s("label")},
			{Prefix: s("prefix"), OwnerLabel: s("label"), Environment: s("environment")},
		}},
		events.OwnershipRulesSet{},
		events.SecretKeysListed{Keys: n},
		events.DiscoveryScheduled{Every: n},
		events.JobQueued{Operation: events.OperationDiscover, Connection: connection(), Number: n, Scheduled: n > 0, Ref: s("ref"), Until: t("until")},
		events.JobTaken{Agent: events.AgentID(s("agent")), Attempt: n},
		events.JobFinished{Result: events.ScanTally{Unlisted: max(0, n) & 1}, Version: s("version")},
		events.JobFailed{Code: events.FailureCode(s("code")), Detail: s("detail")},
		events.JobCancelled{Reason: s("reason")},
		events.RequestSubmitted{Operation: events.OperationPatch, Connection: connection(), Ref: few("ref", "a", "b", "c")},
		events.RequestExecuted{Outcome: events.PatchWritten, PreviousVersion: version(), ProviderVersion: version()},
	}
}

// anyUserFact is about somebody's rights, or about the governance.
func anyUserFact(r *rapid.T) []events.Fact {
	s := func(label string) string { return anyText(r, label) }
	t := func(label string) time.Time { return anyTime(r, label) }
	scope := events.Scope{Team: s("team"), Project: s("project"), Connection: events.ConnectionID(s("connection")), Prefix: s("prefix")}
	added := events.UserAdded{User: "u_1", Kind: events.UserKind(s("kind")), BreakGlass: rapid.Bool().Draw(r, "break glass")}
	return []events.Fact{
		added, added, added,
		events.UserDisabled{Reason: s("reason")}, events.UserEnabled{}, events.UserErased{},
		events.GrantGiven{Grant: events.GrantID(s("grant")), Role: s("role"), Scope: scope, Until: t("until"), Reason: s("reason")},
		events.GrantGiven{Grant: events.GrantID(s("grant")), Role: s("role")},
		events.GrantTaken{Grant: events.GrantID(s("grant"))},
		events.GroupsTold{Groups: []string{s("group"), s("another group")}}, events.GroupsTold{},
		events.TokenIssued{Token: events.TokenID(s("token")), Name: s("name"), Permissions: []string{s("permission")}, Scope: scope, Until: t("until")},
		events.TokenRevoked{Token: events.TokenID(s("token"))},
		events.DelegationGiven{Delegation: events.DelegationID(s("delegation")), To: events.UserID(s("to")), Since: t("since"), Until: t("until"), Reason: s("reason")},
		events.DelegationEnded{Delegation: events.DelegationID(s("delegation"))},
		events.FactorEnrolled{Factor: events.FactorID(s("factor")), Kind: events.FactorKind(s("kind"))},
		events.FactorRemoved{Factor: events.FactorID(s("factor"))},
		events.GovernanceChanged{Version: 1, Set: []events.Object{{Kind: events.KindTeam, Name: "a", Spec: events.Team{Description: s("description")}}}},
	}
}

// anyIntegrationFact draws from few mappings, so that one is often removed, or added twice.
func anyIntegrationFact(r *rapid.T) []events.Fact {
	s := func(label string) string { return anyText(r, label) }
	t := func(label string) time.Time { return anyTime(r, label) }
	mapping := func() events.MappingID {
		return events.MappingID(rapid.SampledFrom([]string{"p_1", "p_2", "\x00", "\uFFFD", ""}).Draw(r, "mapping"))
	}
	settings := events.IntegrationSettings{
		Address: s("address"), CA: s("ca"), Cluster: events.ClusterID(s("cluster")), Namespace: s("namespace"),
		Notices: []events.NoticeKind{events.NoticeKind(s("notice"))}, Projects: []string{s("project")}, Description: s("description"),
	}
	created := events.IntegrationCreated{Integration: "i1", Kind: events.IntegrationKind(s("kind")), Settings: settings}
	return []events.Fact{
		created, created, created,
		events.IntegrationChanged{Settings: settings}, events.IntegrationChanged{},
		events.IntegrationSecretSet{Secret: events.IntegrationSecret(s("secret")), Version: rapid.SampledFrom([]int{0, 1, -1, 1 << 40}).Draw(r, "version"), Overlap: t("overlap")},
		events.IntegrationDisabled{Reason: s("reason")}, events.IntegrationEnabled{}, events.IntegrationRemoved{Reason: s("reason")},
		events.MappingAdded{
			Mapping: mapping(), Secrets: events.MappedSecrets{Connection: "c1", Ref: s("ref"), Labels: map[string]string{s("label"): s("value")}},
			Target: events.RolloutTarget{Kind: s("kind"), Name: s("name"), Secret: s("secret")}, Origin: events.MappingOrigin(s("origin")),
		},
		events.MappingAdded{Mapping: mapping()},
		events.MappingRemoved{Mapping: mapping()}, events.MappingRemoved{Mapping: mapping()},
		events.DeliveryAbandoned{Delivery: events.DeliveryID(s("delivery"))},
	}
}
