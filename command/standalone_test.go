package command_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

var (
	theScan  = events.ScanOf("vault", events.OperationDiscover, 1)
	queuedIt = events.JobQueued{
		Job: theScan, Operation: events.OperationDiscover, Connection: "vault", Provider: events.ProviderVault, Cluster: "demo", Number: 1,
		Until: commandtest.Noon.Add(command.MaxScan),
	}
	takenOnce = events.JobTaken{Job: theScan, Agent: "a_1", Attempt: 1}
	met       = events.ScanTally{Pages: 2, Secrets: 3}
)

func failedWith(agent events.AgentID, code events.FailureCode, met events.ScanTally) events.JobFailed {
	return events.JobFailed{Job: theScan, Agent: agent, Code: code, Detail: code.Sentence(), Result: met}
}

func TestJobsWithoutARequest(t *testing.T) {
	late := command.Meta{Command: "c_now", Time: queuedIt.Until}
	now := command.Meta{Command: "c_now", Time: commandtest.Noon}
	first := command.Attempt{Job: theScan, Agent: "a_1", Number: 1}
	take := func(agent events.AgentID, cluster events.ClusterID, meta command.Meta) func(command.Job) ([]events.Fact, error) {
		return func(j command.Job) ([]events.Fact, error) { return j.Take(meta, agent, cluster, met) }
	}
	finish := func(a command.Attempt, cluster events.ClusterID, meta command.Meta) func(command.Job) ([]events.Fact, error) {
		return func(j command.Job) ([]events.Fact, error) {
			return j.Finish(meta, command.FinishJob{Attempt: a, Cluster: cluster, Result: met})
		}
	}
	abandon := func(a command.Attempt, cluster events.ClusterID, code events.FailureCode) func(command.Job) ([]events.Fact, error) {
		return func(j command.Job) ([]events.Fact, error) {
			return j.Abandon(now, command.AbandonJob{Attempt: a, Cluster: cluster, Code: code, Result: met})
		}
	}
	cancel := func(reason string) func(command.Job) ([]events.Fact, error) {
		return func(j command.Job) ([]events.Fact, error) { return j.Cancel(now, reason, met) }
	}
	tired := []events.Fact{queuedIt}
	for n := range command.MaxAttempts {
		tired = append(tired, events.JobTaken{Job: theScan, Agent: "a_1", Attempt: n + 1})
	}
	finished := []events.Fact{queuedIt, takenOnce, events.JobFinished{Job: theScan, Agent: "a_1", Attempt: 1}}
	for name, c := range map[string]struct {
		given []events.Fact
		when  func(command.Job) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		"is queued":           {nil, func(j command.Job) ([]events.Fact, error) { return j.Queue(now, queuedIt) }, []events.Fact{queuedIt}, nil},
		"is not queued twice": {[]events.Fact{queuedIt}, func(j command.Job) ([]events.Fact, error) { return j.Queue(now, queuedIt) }, nil, command.ErrJobExists},
		"is not a request's": {nil, func(j command.Job) ([]events.Fact, error) {
			return j.Queue(now, events.JobQueued{Operation: events.OperationRead})
		}, nil, command.ErrJobKind},
		"is taken":                              {[]events.Fact{queuedIt}, take("a_1", "demo", now), []events.Fact{takenOnce}, nil},
		"is taken over":                         {[]events.Fact{queuedIt, takenOnce}, take("a_2", "demo", now), []events.Fact{events.JobTaken{Job: theScan, Agent: "a_2", Attempt: 2}}, nil},
		"is not taken by another cluster":       {[]events.Fact{queuedIt}, take("a_1", "other", now), nil, command.ErrJobNotYours},
		"is not taken before it is there":       {nil, take("a_1", "demo", now), nil, command.ErrJobUnknown},
		"is not taken at its end":               {[]events.Fact{queuedIt}, take("a_1", "demo", late), nil, command.ErrJobOver},
		"is not taken after its end":            {finished, take("a_1", "demo", now), nil, command.ErrJobOver},
		"is not taken for ever":                 {tired, take("a_2", "demo", now), []events.Fact{failedWith("a_1", events.FailureAgentLost, met)}, nil},
		"finishes":                              {[]events.Fact{queuedIt, takenOnce}, finish(first, "demo", now), []events.Fact{events.JobFinished{Job: theScan, Agent: "a_1", Attempt: 1, Result: met}}, nil},
		"is not finished by a stale attempt":    {[]events.Fact{queuedIt, takenOnce, events.JobTaken{Job: theScan, Agent: "a_1", Attempt: 2}}, finish(first, "demo", now), nil, command.ErrAttemptStale},
		"is not finished by nobody":             {[]events.Fact{queuedIt}, finish(first, "demo", now), nil, command.ErrAttemptStale},
		"is not finished by another agent":      {[]events.Fact{queuedIt, takenOnce}, finish(command.Attempt{Job: theScan, Agent: "a_2", Number: 1}, "demo", now), nil, command.ErrAttemptStale},
		"is not finished by another cluster":    {[]events.Fact{queuedIt, takenOnce}, finish(first, "other", now), nil, command.ErrJobNotYours},
		"is not finished too late":              {[]events.Fact{queuedIt, takenOnce}, finish(first, "demo", late), nil, command.ErrJobOver},
		"is not finished twice":                 {finished, finish(first, "demo", now), nil, command.ErrJobOver},
		"is abandoned":                          {[]events.Fact{queuedIt, takenOnce}, abandon(first, "demo", events.FailureForbidden), []events.Fact{failedWith("a_1", events.FailureForbidden, met)}, nil},
		"is refused before it is taken":         {[]events.Fact{queuedIt}, abandon(command.Attempt{Job: theScan, Agent: "a_1"}, "demo", events.FailureTicketRefused), []events.Fact{failedWith("a_1", events.FailureTicketRefused, met)}, nil},
		"is not refused while somebody works":   {[]events.Fact{queuedIt, takenOnce}, abandon(command.Attempt{Job: theScan, Agent: "a_2"}, "demo", events.FailureTicketRefused), nil, command.ErrAttemptStale},
		"is not abandoned by another cluster":   {[]events.Fact{queuedIt, takenOnce}, abandon(first, "other", events.FailureForbidden), nil, command.ErrJobNotYours},
		"is not abandoned for no known reason":  {[]events.Fact{queuedIt, takenOnce}, abandon(first, "demo", "tired"), nil, command.ErrFailureUnknown},
		"is not abandoned after its end":        {finished, abandon(first, "demo", events.FailureForbidden), nil, command.ErrJobOver},
		"is buried":                             {[]events.Fact{queuedIt, takenOnce}, abandon(command.Attempt{Job: theScan}, "demo", events.FailureAgentLost), []events.Fact{failedWith("", events.FailureAgentLost, met)}, nil},
		"is cancelled":                          {[]events.Fact{queuedIt}, cancel("enough"), []events.Fact{events.JobCancelled{Job: theScan, Reason: "enough", Result: met}}, nil},
		"is cancelled once":                     {[]events.Fact{queuedIt, events.JobCancelled{Job: theScan}}, cancel("enough"), nil, nil},
		"is not cancelled after its end":        {finished, cancel("enough"), nil, command.ErrJobOver},
		"is not cancelled before it is there":   {nil, cancel("enough"), nil, command.ErrJobUnknown},
		"is not cancelled with a long story":    {[]events.Fact{queuedIt}, cancel(strings.Repeat("x", 2001)), nil, command.ErrCancelReason},
		"is not cancelled with control letters": {[]events.Fact{queuedIt}, cancel("\x1b[2J"), nil, command.ErrCancelReason},
		"expires":                               {[]events.Fact{queuedIt}, func(j command.Job) ([]events.Fact, error) { return j.Expire(late, met) }, []events.Fact{failedWith("", events.FailureJobExpired, met)}, nil},
		"does not expire before its time":       {[]events.Fact{queuedIt}, func(j command.Job) ([]events.Fact, error) { return j.Expire(now, met) }, nil, nil},
		"does not expire after its end":         {finished, func(j command.Job) ([]events.Fact, error) { return j.Expire(late, met) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.when(commandtest.Fold[command.Job](c.given...))
			commandtest.Then(t, got, err, c.then, c.err)
		})
	}
}

func TestSchedules(t *testing.T) {
	there := events.ConnectionCreated{Connection: "vault", Provider: events.ProviderVault, Cluster: "demo"}
	for name, c := range map[string]struct {
		given []events.Fact
		every time.Duration
		then  []events.Fact
		err   error
	}{
		"each hour":                 {[]events.Fact{there}, time.Hour, []events.Fact{events.DiscoveryScheduled{Every: 3600}}, nil},
		"as it is":                  {[]events.Fact{there, events.DiscoveryScheduled{Every: 3600}}, time.Hour, nil, nil},
		"never again":               {[]events.Fact{there, events.DiscoveryScheduled{Every: 3600}}, 0, []events.Fact{events.DiscoveryScheduled{}}, nil},
		"as often as can be":        {[]events.Fact{there}, command.MinDiscoverEvery, []events.Fact{events.DiscoveryScheduled{Every: 900}}, nil},
		"too often":                 {[]events.Fact{there}, command.MinDiscoverEvery - time.Second, nil, command.ErrScheduleInvalid},
		"too seldom":                {[]events.Fact{there}, command.MaxDiscoverEvery + time.Second, nil, command.ErrScheduleInvalid},
		"backwards":                 {[]events.Fact{there}, -time.Hour, nil, command.ErrScheduleInvalid},
		"in parts of a second":      {[]events.Fact{there}, time.Hour + time.Millisecond, nil, command.ErrScheduleInvalid},
		"of what is not there":      {nil, time.Hour, nil, command.ErrConnectionUnknown},
		"each hour though disabled": {[]events.Fact{there, events.ConnectionDisabled{}}, time.Hour, []events.Fact{events.DiscoveryScheduled{Every: 3600}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := commandtest.Fold[command.Connection](c.given...).Schedule(command.Meta{Time: commandtest.Noon}, c.every)
			commandtest.Then(t, got, err, c.then, c.err)
		})
	}
}

func TestOwnership(t *testing.T) {
	rule := events.OwnershipRule{Labels: map[string]string{"team": "x"}, Owner: "x"}
	set := events.OwnershipRulesSet{Version: 1, Rules: []events.OwnershipRule{rule}}
	for name, c := range map[string]struct {
		given []events.Fact
		on    int
		rules []events.OwnershipRule
		then  []events.Fact
		err   error
	}{
		"the first rules":           {nil, 0, []events.OwnershipRule{rule}, []events.Fact{set}, nil},
		"the same rules":            {[]events.Fact{set}, 1, []events.OwnershipRule{rule}, nil, nil},
		"no rules":                  {[]events.Fact{set}, 1, nil, []events.Fact{events.OwnershipRulesSet{Version: 2}}, nil},
		"none on none":              {nil, 0, []events.OwnershipRule{}, nil, nil},
		"on an older version":       {[]events.Fact{set}, 0, nil, nil, command.ErrOwnershipMoved},
		"on a version to come":      {nil, 1, nil, nil, command.ErrOwnershipMoved},
		"a rule that says nothing":  {nil, 0, []events.OwnershipRule{{Prefix: "a"}}, nil, command.ErrOwnershipRule},
		"a rule that says it twice": {nil, 0, []events.OwnershipRule{{Owner: "x", OwnerLabel: "y"}}, nil, command.ErrOwnershipRule},
		"the same of environments":  {nil, 0, []events.OwnershipRule{{Environment: "x", EnvironmentLabel: "y"}}, nil, command.ErrOwnershipRule},
		"of no connection's name":   {nil, 0, []events.OwnershipRule{{Connection: "A B", Owner: "x"}}, nil, command.ErrOwnershipRule},
		"an owner that is a novel":  {nil, 0, []events.OwnershipRule{{Owner: strings.Repeat("x", 129)}}, nil, command.ErrOwnershipRule},
		"labels beyond the limits":  {nil, 0, []events.OwnershipRule{{Owner: "x", Labels: map[string]string{"": "y"}}}, nil, command.ErrOwnershipRule},
		"a prefix beyond any ref":   {nil, 0, []events.OwnershipRule{{Owner: "x", Prefix: strings.Repeat("x", 513)}}, nil, command.ErrOwnershipRule},
		"too many":                  {nil, 0, make([]events.OwnershipRule, command.MaxOwnershipRules+1), nil, command.ErrTooManyRules},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := commandtest.Fold[command.Ownership](c.given...).Set(command.Meta{Time: commandtest.Noon}, c.on, c.rules)
			commandtest.Then(t, got, err, c.then, c.err)
		})
	}
	mine := events.SecretAssigned{Secret: "i_1", Connection: "vault", Ref: "a", Owner: "me"}
	for name, c := range map[string]struct {
		given []events.Fact
		when  events.SecretAssigned
		then  []events.Fact
		err   error
	}{
		"by hand":                {nil, mine, []events.Fact{mine}, nil},
		"by hand, again":         {[]events.Fact{mine}, mine, nil, nil},
		"back to the rules":      {[]events.Fact{mine}, events.SecretAssigned{Secret: "i_1"}, []events.Fact{events.SecretAssigned{Secret: "i_1"}}, nil},
		"with a control letter":  {nil, events.SecretAssigned{Owner: "a\x1b"}, nil, command.ErrAssignment},
		"in more than 128 signs": {nil, events.SecretAssigned{Environment: strings.Repeat("ü", 129)}, nil, command.ErrAssignment},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := commandtest.Fold[command.Secret](c.given...).Assign(command.Meta{Time: commandtest.Noon}, c.when)
			commandtest.Then(t, got, err, c.then, c.err)
		})
	}
}

// What a page is compared with and what follows of it give back what was listed.
func TestComparingAPageTellsEveryDifferenceOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		listed := func(label string) []events.SecretMetadata {
			return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) events.SecretMetadata {
				m := events.SecretMetadata{Ref: rapid.StringMatching(`[a-d]`).Draw(t, "ref"), Version: rapid.StringMatching(`[12]?`).Draw(t, "version")}
				if rapid.Bool().Draw(t, "labelled") {
					m.Labels = rapid.MapOf(rapid.StringMatching(`[xy]`), rapid.StringMatching(`[12]?`)).Draw(t, "labels")
				}
				if rapid.Bool().Draw(t, "timed") {
					m.Updated = commandtest.Noon.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ns")))
				}
				return m
			}), 0, 4, func(m events.SecretMetadata) string { return m.Ref }).Draw(t, label)
		}
		known := map[events.SecretID]events.SecretMetadata{}
		for _, m := range listed("known") {
			known[events.SecretOf("c", m.Ref)] = m
		}
		page := listed("page")
		are := func(c events.ConnectionID, s events.SecretMetadata) (there, same bool) {
			before, there := known[events.SecretOf(c, s.Ref)]
			return there, reflect.DeepEqual(before, s)
		}
		facts := command.InventoryPage{}.Compare("j", "c", page, are)
		for _, f := range facts {
			switch f := f.(type) {
			case events.SecretsFound:
				for _, m := range f.Secrets {
					id := events.SecretOf("c", m.Ref)
					if _, there := known[id]; there {
						t.Fatalf("%s is found and was there", m.Ref)
					}
					known[id] = m
				}
			case events.SecretsChanged:
				for _, m := range f.Secrets {
					id := events.SecretOf("c", m.Ref)
					if _, there := known[id]; !there {
						t.Fatalf("%s changed and was not there", m.Ref)
					}
					known[id] = m
				}
			}
		}
		if again := (command.InventoryPage{}).Compare("j", "c", page, are); len(again) != 0 {
			t.Fatalf("the same page again: %+v", again)
		}
	})
}

func TestKeyNamesAreBounded(t *testing.T) {
	many := make([]string, command.MaxKeyNames+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for name, c := range map[string]struct {
		names []string
		good  bool
	}{
		"none": {nil, true}, "odd ones": {[]string{"a b", "ключ", "a/b=c"}, true},
		"an empty one": {[]string{""}, false}, "one twice": {[]string{"a", "a"}, false}, "no UTF-8": {[]string{"\xff"}, false},
		"a control letter": {[]string{"a\n"}, false}, "too many": {many, false}, "64 KiB and one": {[]string{strings.Repeat("x", 64<<10), "y"}, false},
	} {
		if err := command.CheckKeyNames(c.names); (err == nil) != c.good || err != nil && !errors.Is(err, command.ErrOutcomeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
