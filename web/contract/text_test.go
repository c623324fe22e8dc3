package contract_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"secretsbridge/accounts"
	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/identity/factors"
	"secretsbridge/integrations"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
	"secretsbridge/web/contract"
)

func text(t *testing.T) []byte {
	t.Helper()
	yaml, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return yaml
}

var loaded = sync.OnceValues(func() (*contract.Contract, error) {
	yaml, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	return contract.Load(yaml)
})

func load(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func model(t *testing.T) *v3.Document {
	t.Helper()
	document, err := libopenapi.NewDocument(text(t))
	if err != nil {
		t.Fatal(err)
	}
	built, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	return &built.Model
}

func TestEveryOperationIsWholeAndHasOneName(t *testing.T) {
	names := map[string]bool{}
	permissions := []string{"public", "session"}
	for _, p := range policy.Catalogue() {
		permissions = append(permissions, string(p))
	}
	for _, op := range load(t).Operations() {
		where := op.Method + " " + op.Path
		if names[op.OperationID] || op.OperationID == "" {
			t.Errorf("%s: operationId %q is missing or taken", where, op.OperationID)
		}
		names[op.OperationID] = true
		if !slices.Contains(permissions, op.Permission) {
			t.Errorf("%s: unknown permission %q", where, op.Permission)
		}
		changesNothing := slices.Contains([]string{"/governance/plan", "/policy/explain", "/policy/simulate", "/audit/compare"}, op.Path)
		// Signing off ends the session that asks: a second call finds none. Renewing twice is renewing later.
		again := slices.Contains([]string{"signOff", "renewSession"}, op.OperationID)
		if want := op.Method == http.MethodPost && !op.Public && !changesNothing && !again; op.NeedsIdempotencyKey != want {
			t.Errorf("%s: needs an idempotency key: %t, want %t", where, op.NeedsIdempotencyKey, want)
		}
		if !op.Public && !slices.Contains(op.Codes, "not_signed_in") || !slices.Contains(op.Codes, "internal") {
			t.Errorf("%s: codes are missing: %v", where, op.Codes)
		}
		// A call with a cookie that changes something may come from a page of another site.
		want := !op.Public && (op.Permission != "session" || op.Method != http.MethodGet) || op.OperationID == "signIn" // which makes a cookie
		if got := slices.Contains(op.Codes, "forbidden"); got != want {
			t.Errorf("%s: lists forbidden: %t, want %t", where, got, want)
		}
	}
	for path, item := range model(t).Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			if op.Summary == "" || op.Description == "" || len(op.Tags) != 1 || op.Responses.Default == nil {
				t.Errorf("%s %s: summary, description, tag or problem is missing", method, path)
			}
		}
	}
}

func TestWordsAreThoseOfTheCode(t *testing.T) {
	c := load(t)
	var codes, permissions []string
	for _, p := range c.Problems() {
		codes = append(codes, p.Code)
	}
	for _, p := range policy.Catalogue() {
		permissions = append(permissions, string(p))
	}
	tests := map[string][]string{
		"Code": codes, "Permission": permissions,
		"Provider": words(events.ProviderKinds()...),
		"JobType":  words(events.OperationDiscover, events.OperationFingerprint, events.OperationKeys),
		"JobState": words(events.JobStateQueued, events.JobStateRunning, events.JobStateFinished, events.JobStateFailed,
			events.JobStateCancelled),
		"SecretStatus":    words(projections.SecretPresent, projections.SecretGone),
		"AssignedFrom":    words(projections.ByHand, projections.ByRule),
		"ConnectionState": words(projections.ConnectionActive, projections.ConnectionDisabled),
		"AgentState":      words(events.AgentInvited, events.AgentExpired, events.AgentOffline, events.AgentOnline, events.AgentGone),
		"RequestState": words(events.StateAwaiting, events.StatePending, events.StateApproved, events.StateRunning, events.StateUnknown, events.StateExecuted,
			events.StateFailed, events.StateRejected, events.StateRefused, events.StateCancelled, events.StateExpired,
			events.StateApplied, events.StateRolloutFailed, events.StateAppliedUnverified),
		"IntegrationKind":       words(events.IntegrationKinds()...),
		"IntegrationState":      words(command.IntegrationActive, command.IntegrationDisabled),
		"IntegrationSecretName": words(events.IntegrationURL, events.IntegrationToken, events.IntegrationSigningKey),
		"MappingOrigin":         words(events.MappedByHand, events.MappedByRule, events.MappedDiscovered),
		"NoticeKind":            words(events.NoticeKinds()...),
		"DeliveryCode": words(events.DeliveryRefused, events.DeliveryThrottled, events.DeliveryUnavailable, events.DeliveryTimeout,
			events.DeliveryForbidden, events.DeliveryUntrusted, events.DeliveryUnset, events.DeliveryInternal),
		"ReviewState": words(projections.ReviewPending, projections.ReviewOverdue, projections.ReviewDone),
	}
	for name, want := range tests {
		if diff := cmp.Diff(sorted(want), sorted(enum(c.Schema(name)))); diff != "" {
			t.Errorf("%s (-code +text):\n%s", name, diff)
		}
	}
	for _, code := range enum(c.Schema("FailureCode")) {
		if !events.FailureCode(code).Valid() {
			t.Errorf("unknown failure code %q", code)
		}
	}
}

func words[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

func sorted(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

func enum(s *base.Schema) []string {
	var out []string
	for _, n := range s.Enum {
		out = append(out, n.Value)
	}
	return out
}

// TestShapesAreThoseOfTheCode compares fields and which of them are always there.
func TestShapesAreThoseOfTheCode(t *testing.T) {
	c := load(t)
	shapes := map[string]any{
		"SignIn": api.SignIn{}, "SealedSignIn": api.SealedSignIn{}, "Submit": api.Submit{}, "Verdict": api.Verdict{}, "CreateConnection": api.CreateConnection{},
		"Reason": api.Reason{}, "PlaceHold": api.PlaceHold{}, "LegalHolds": api.LegalHolds{}, "LegalHold": api.LegalHold{}, "Invite": api.Invite{}, "Enrol": events.Enrol{}, "Session": api.Session{}, "Me": api.Me{},
		"Person": api.Person{}, "Submitted": api.Submitted{}, "Done": api.Done{}, "Request": api.Request{}, "Step": api.Step{},
		"Vote": api.Vote{}, "Failure": api.Failure{}, "Patch": api.Patch{}, "Change": api.Change{}, "Comparison": api.Comparison{},
		"ProposedChange": api.ProposedChange{}, "Intake": api.Intake{}, "Reveal": api.Reveal{}, "Envelope": api.Envelope{}, "Revealed": api.Revealed{},
		"Connection": api.Connection{}, "Agent": api.Agent{}, "Invitation": api.Invitation{}, "Enrolment": events.Enrolment{},
		"Credential": events.Credentials{}, "Event": api.Event{}, "Problem": api.Problem{}, "RequestPage": api.Page[api.Request]{},
		"QueueJob": api.QueueJob{}, "Job": api.Job{}, "Progress": api.Progress{}, "KeyNames": api.KeyNames{}, "Schedule": api.Schedule{},
		"Secret": api.Secret{}, "Count": api.Count{}, "Facet": api.Facet{}, "Assign": api.Assign{}, "Ownership": api.Ownership{},
		"Factors": api.Factors{}, "Factor": api.Factor{}, "NewTotp": api.NewTOTP{}, "Totp": api.TOTP{}, "TotpCode": api.TOTPCode{}, "PasskeyOptions": api.PasskeyOptions{},
		"NewPasskey": api.NewPasskey{}, "Enrolled": api.Enrolled{}, "RecoveryCodes": api.RecoveryCodes{}, "StepUp": api.StepUp{},
		"InvitePerson": api.InvitePerson{}, "Link": api.Link{}, "Redeem": api.Redeem{}, "SealedRedeem": api.SealedRedeem{}, "ChangePassword": api.ChangePassword{},
		"SealedPassword": api.SealedPassword{}, "Account": api.Account{}, "PersonGrant": api.PersonGrant{}, "GiveGrant": api.GiveGrant{}, "GivenScope": api.Scope{}, "Made": api.Made{},
		"OpenSession": api.OpenSession{}, "Ended": api.Ended{}, "CreateMachine": api.CreateMachine{}, "Machine": api.Machine{}, "MachineToken": api.MachineToken{},
		"IssueToken": api.IssueToken{}, "IssuedToken": api.IssuedToken{}, "Delegate": api.Delegate{}, "Delegation": api.Delegation{},
		"OwnershipRule": api.OwnershipRule{}, "OutOfBand": api.OutOfBand{}, "Duplicate": api.Duplicate{}, "SecretName": api.SecretName{},
		"AskFill": api.AskFill{}, "BreakGlass": api.BreakGlass{}, "Values": api.Values{}, "Refusal": api.Refusal{}, "Review": api.Review{},
		"Actions": api.Actions{}, "Action": api.Action{}, "Changed": api.Changed{}, "UsualWait": api.UsualWait{},
		"Integration": api.Integration{}, "IntegrationSecret": api.IntegrationSecret{}, "CreateIntegration": api.CreateIntegration{}, "CreatedIntegration": api.CreatedIntegration{},
		"ChangeIntegration": api.ChangeIntegration{}, "RotateSecret": api.RotateSecret{}, "RotatedSecret": api.RotatedSecret{}, "IntegrationTest": api.IntegrationTest{},
		"Delivery": api.Delivery{}, "Mapping": api.Mapping{}, "Target": api.Target{}, "AddMapping": api.AddMapping{}, "GivenTarget": api.Target{},
		"Applications": api.Applications{}, "Suggestions": api.Suggestions{},
		"Deciders": api.Deciders{}, "Fill": api.Fill{}, "Glass": api.Glass{},
		"Notices": api.Notices{}, "ChooseNotices": api.ChooseNotices{}, "QuietHours": api.QuietHours{}, "Queued": api.Queued{},
	}
	for name, shape := range shapes {
		schema := c.Schema(name)
		if schema == nil {
			t.Errorf("there is no schema %s", name)
			continue
		}
		var fields, always []string
		for _, f := range fieldsOf(reflect.TypeOf(shape)) {
			field, optional, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, field)
			if optional == "" {
				always = append(always, field)
			}
		}
		if diff := cmp.Diff(sorted(fields), slices.Sorted(schema.Properties.KeysFromOldest())); diff != "" {
			t.Errorf("fields of %s (-code +text):\n%s", name, diff)
		}
		if diff := cmp.Diff(sorted(always), sorted(schema.Required)); diff != "" {
			t.Errorf("fields of %s that are always there (-code +text):\n%s", name, diff)
		}
	}
}

// fieldsOf are the fields of a struct, those of embedded ones in their place.
func fieldsOf(t reflect.Type) (all []reflect.StructField) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			all = append(all, fieldsOf(f.Type)...)
		} else {
			all = append(all, f)
		}
	}
	return all
}

func maximum(s *base.Schema) *int64 {
	n := int64(*s.Maximum)
	return &n
}

func TestLimitsAreThoseOfTheCode(t *testing.T) {
	c := load(t)
	property := func(schema, name string) *base.Schema {
		return c.Schema(schema).Properties.GetOrZero(name).Schema()
	}
	tests := map[string]struct {
		got  *int64
		want int
	}{
		"reason":          {property("Submit", "reason").MaxLength, command.MaxReason},
		"secret":          {property("Submit", "secret").MaxLength, 40 + len("/") + command.MaxRef},
		"keys":            {property("Submit", "keys").MaxItems, command.MaxKeys},
		"a key":           {property("Submit", "keys").Items.A.Schema().MaxLength, command.MaxKeyLength},
		"comment":         {property("Verdict", "comment").MaxLength, command.MaxComment},
		"why disabled":    {property("Reason", "reason").MaxLength, command.MaxReason},
		"why revoked":     {property("RevocationReason", "reason").MaxLength, command.MaxReason},
		"description":     {property("CreateConnection", "description").MaxLength, command.MaxReason},
		"items a page":    {property("AgentPage", "items").MaxItems, projections.MaxLimit},
		"secrets a page":  {property("SecretPage", "items").MaxItems, projections.MaxLimit},
		"rules":           {property("Ownership", "rules").MaxItems, command.MaxOwnershipRules},
		"an owner":        {property("Assign", "owner").MaxLength, command.MaxOwner},
		"an environment":  {property("Assign", "environment").MaxLength, command.MaxOwner},
		"names of keys":   {property("KeyNames", "keys").MaxItems, command.MaxKeyNames},
		"requests a page": {property("RequestPage", "items").MaxItems, projections.MaxLimit},
		"factors":         {property("Factors", "items").MaxItems, factors.MaxFactors},
		"name of one":     {property("NewTotp", "name").MaxLength, factors.MaxName},
		"mappings":        {property("MappingPage", "items").MaxItems, command.MaxMappings},
		"labels of one":   {property("AddMapping", "labels").MaxProperties, command.MaxMappedLabels},
		"ref of one":      {property("AddMapping", "ref").MaxLength, command.MaxRef},
		"selector":        {property("GivenTarget", "selector").MaxLength, command.MaxSelector},
		"projects":        {property("CreateIntegration", "projects").MaxItems, command.MaxFilter},
		"authorities":     {property("CreateIntegration", "ca").MaxLength, command.MaxAuthorityText},
		"address":         {property("CreateIntegration", "address").MaxLength, command.MaxAddress},
		"url":             {property("CreateIntegration", "url").MaxLength, integrations.MaxURL},
		"token":           {property("RotateSecret", "token").MaxLength, integrations.MaxToken},
		"overlap":         {maximum(property("RotateSecret", "overlap_seconds")), int(command.MaxOverlap.Seconds())},
		"recovery codes":  {property("RecoveryCodes", "codes").MaxItems, factors.RecoveryCodes},
	}
	for name, tt := range tests {
		if tt.got == nil || *tt.got != int64(tt.want) {
			t.Errorf("%s: the text says %v, the code %d", name, tt.got, tt.want)
		}
	}
	if got := property("Schedule", "every_seconds").Maximum; got == nil || *got != command.MaxDiscoverEvery.Seconds() {
		t.Errorf("time between scans: the text says %v, the code %v", got, command.MaxDiscoverEvery)
	}
	if got := property("Invite", "ttl_seconds").Maximum; got == nil || *got != command.MaxTokenLife.Seconds() {
		t.Errorf("life of a token: the text says %v, the code %v", got, command.MaxTokenLife)
	}
}

// TestSentencesAreThoseOfTheRules pins the words that a caller reads.
func TestSentencesAreThoseOfTheRules(t *testing.T) {
	table := map[string]string{}
	for _, p := range load(t).Problems() {
		table[p.Code] = p.Detail
	}
	for _, rule := range []error{
		command.ErrReasonMissing, command.ErrReasonTooLong, command.ErrRefInvalid, command.ErrKeysInvalid, command.ErrConnectionUnknown,
		command.ErrConnectionDisabled, command.ErrPolicyDenied, command.ErrRequestUnknown, command.ErrSelfApproval, command.ErrAlreadyVoted,
		command.ErrNotAnApprover, command.ErrNotPending, command.ErrCancelled, command.ErrRejected, command.ErrRequestExpired,
		command.ErrNotYourRequest, command.ErrTooLateToCancel, command.ErrCommentTooLong, command.ErrEnvelopeUnknown,
		command.ErrAlreadyRevealed, command.ErrEnvelopeExpired, command.ErrNotYetExecuted, command.ErrNothingToReveal,
		command.ErrRevealNotAllowed, command.ErrConnectionExists, command.ErrConnectionName, command.ErrProviderUnknown,
		command.ErrDescriptionLength, command.ErrAgentUnknown, command.ErrAgentNameInvalid, command.ErrTokenLife, command.ErrTokenRefused,
		command.ErrAgentRevoked, command.ErrReasonNeeded, command.ErrChangesInvalid, command.ErrNotCompared, command.ErrComparisonMoved,
		command.ErrJobKind, command.ErrScanRunning, command.ErrJobUnknown, command.ErrJobOver, command.ErrCancelReason, command.ErrScheduleInvalid,
		command.ErrUserUnknown, command.ErrUserGone, command.ErrOwnRights, command.ErrGrantUnknown, command.ErrTooManyGrants, command.ErrEndInvalid,
		command.ErrNotAMachine, command.ErrTokenUnknown, command.ErrTooManyTokens, command.ErrTokenName, command.ErrTokenRights, command.ErrDelegate,
		command.ErrDelegation, command.ErrTooMany, accounts.ErrEmail, accounts.ErrEmailTaken, accounts.ErrName, accounts.ErrMachineName,
		accounts.ErrMachineTaken, accounts.ErrNotAPerson, accounts.ErrPersonOut, accounts.ErrLink, accounts.ErrOldPassword, accounts.ErrSession,
		accounts.ErrLastAdmin, accounts.ErrRole, accounts.ErrScope, accounts.ErrScopeUnknown, accounts.ErrBeyond, accounts.ErrAbove, accounts.ErrTokenInactive, accounts.ErrPasswordShort,
		command.ErrAssignment, command.ErrOwnershipRule, command.ErrOwnershipMoved, command.ErrTooManyRules, command.ErrSecretUnlisted,
		command.ErrReasonTooShort, command.ErrReasonPattern, command.ErrTicketInvalid, command.ErrGlass, command.ErrGlassReason, command.ErrReviewDue,
		command.ErrNothingToReview, command.ErrOwnReview, command.ErrNotAReviewer, command.ErrReviewed, command.ErrReviewInvalid, command.ErrCommentTooShort,
		command.ErrCommentInvalid, command.ErrFilledIn, command.ErrVoiceCounted, command.ErrFillInvalid, command.ErrOwnFill, command.ErrNotTheTeam,
		command.ErrNotAwaiting, command.ErrValuesMismatch,
		command.ErrIntegrationUnknown, command.ErrIntegrationExists, command.ErrIntegrationName, command.ErrIntegrationKind, command.ErrIntegrationSettings,
		command.ErrIntegrationSecret, command.ErrIntegrationToken, command.ErrIntegrationDisabled, command.ErrIntegrationWrong, command.ErrMappingInvalid,
		command.ErrMappingUnknown, command.ErrMappingExists, command.ErrTooManyMappings,
		custody.ErrProposalInvalid, custody.ErrIntakeKey, custody.ErrSignIn, custody.ErrRecipient, custody.ErrEnvelopeLost, custody.ErrEnvelopeBroken,
		factors.ErrUnknown, factors.ErrTooMany, factors.ErrExists, factors.ErrName, factors.ErrProof,
	} {
		var r *command.Rejection
		if !errors.As(rule, &r) {
			t.Fatalf("%v is no rejection", rule)
		}
		if got := table[r.Code]; got != r.Detail {
			t.Errorf("%s: the table says %q, the rule %q", r.Code, got, r.Detail)
		}
	}
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	m := model(t)
	checker := schema_validation.NewSchemaValidator(config.WithFormatAssertions(), config.WithStrictMode())
	check := func(where string, schema *base.Schema, example interface{ Decode(any) error }) {
		var value any
		if err := example.Decode(&value); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if ok, found := checker.ValidateSchemaStringWithVersion(schema, string(raw), 3.1); !ok {
			t.Errorf("%s: %s: %v", where, raw, found[0].SchemaValidationErrors)
		}
	}
	parts := []string{ // of others, which have examples
		"Step", "Vote", "Failure", "Envelope", "Change", "Comparison", "Credential", "RequestPage", "EventPage", "ConnectionPage", "AgentPage",
		"AccountPage", "SessionPage", "PersonGrantPage", "MachinePage", "DelegationPage", "Deciders", "Fill", "Glass", "Progress", "SecretName", "JobPage", "SecretPage", "FacetPage", "OutOfBand", "OutOfBandPage", "DuplicatePage", "CoveragePage",
		"GovernanceVersionPage", "AmendmentPage", "IntegrationPage", "DeliveryPage", "MappingPage",
	}
	for name, proxy := range m.Components.Schemas.FromOldest() {
		schema := proxy.Schema()
		if len(schema.Examples) == 0 && slices.Contains(schema.Type, "object") && !slices.Contains(parts, name) {
			t.Errorf("schema %s has no example", name)
		}
		for _, example := range schema.Examples {
			check("schema "+name, schema, example)
		}
	}
	for name, p := range m.Components.Parameters.FromOldest() {
		if p.Example == nil || p.Description == "" {
			t.Errorf("parameter %s has no example or no description", name)
			continue
		}
		check("parameter "+name, p.Schema.Schema(), p.Example)
	}
	for name, h := range m.Components.Headers.FromOldest() {
		if h.Example == nil || h.Description == "" {
			t.Errorf("header %s has no example or no description", name)
			continue
		}
		check("header "+name, h.Schema.Schema(), h.Example)
	}
}

func TestATextThatIsWrongIsNotLoaded(t *testing.T) {
	whole := string(text(t))
	tests := map[string][2]string{
		"a code that the table does not have":   {"x-codes: [not_signed_in,", "x-codes: [signed_in_badly,"},
		"an operation without a permission":     {"      x-permission: session\n", ""},
		"public, but not without a session":     {"      security: []\n", ""},
		"a reference to nothing":                {"'#/components/schemas/Done'", "'#/components/schemas/Undone'"},
		"no codes for a factor that is missing": {"x-step-up-codes:", "x-step-ups:"},
		"no OpenAPI":                            {"summary: Sign in\n", "summary: [1]\n"},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(whole, change[0]) {
				t.Fatalf("the text does not hold %q", change[0])
			}
			if _, err := contract.Load([]byte(strings.Replace(whole, change[0], change[1], 1))); err == nil {
				t.Error("loaded")
			}
		})
	}
}
