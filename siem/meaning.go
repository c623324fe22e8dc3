package siem

// The classes of OCSF 1.6.0 that facts are told in (schema.ocsf.io).
const (
	accountChange    = 3001
	authentication   = 3002
	entityManagement = 3004
	userAccess       = 3005
	apiActivity      = 6003
)

// activityOther is an activity that its class has no number for. Its name is the operation.
const activityOther = 99

// Activities of the classes.
const (
	apiCreate, apiRead, apiUpdate = 1, 2, 3

	logon, logoff = 1, 2

	accountCreate, accountEnable, passwordChange, passwordReset  = 1, 2, 3, 4
	accountDisable, accountDelete, factorEnabled, factorDisabled = 5, 6, 10, 11

	privilegeAssigned, privilegeRevoked = 1, 2

	entityCreate, entityUpdate, entityDelete = 1, 3, 4
	entityEnrol, entityUnenrol               = 6, 7
	entityEnable, entityDisable              = 8, 9
	entityActivate, entityDeactivate         = 10, 11
)

// How severe facts are: what is done every day, what failed, what somebody should look at today,
// and what should wake somebody.
const (
	informational = 1
	low           = 2
	medium        = 3
	high          = 4
)

// meaning is what a kind of fact is in OCSF.
type meaning struct {
	class, activity, severity int
	failed                    bool // beside denials: it ended otherwise than somebody wanted
}

// meanings has every type of the catalogue.
var meanings = map[string]meaning{
	"sb.request.submitted.v1":          {apiActivity, apiCreate, informational, false},
	"sb.request.approval_given.v1":     {apiActivity, apiUpdate, informational, false},
	"sb.request.approved.v1":           {apiActivity, apiUpdate, informational, false},
	"sb.request.rejected.v1":           {apiActivity, apiUpdate, informational, false},
	"sb.request.cancelled.v1":          {apiActivity, apiUpdate, informational, false},
	"sb.request.expired.v1":            {apiActivity, apiUpdate, informational, false},
	"sb.request.job_started.v1":        {apiActivity, apiUpdate, informational, false},
	"sb.request.lease_lost.v1":         {apiActivity, apiUpdate, low, true},
	"sb.request.envelope_stored.v1":    {apiActivity, apiUpdate, informational, false},
	"sb.request.executed.v1":           {apiActivity, apiUpdate, informational, false},
	"sb.request.failed.v1":             {apiActivity, apiUpdate, low, true},
	"sb.request.envelope_revealed.v1":  {apiActivity, apiRead, low, false},
	"sb.request.reveal_failed.v1":      {apiActivity, apiRead, medium, true},
	"sb.request.envelope_expired.v1":   {apiActivity, apiUpdate, informational, false},
	"sb.request.patch_compared.v1":     {apiActivity, apiRead, informational, false},
	"sb.request.approvals_voided.v1":   {apiActivity, apiUpdate, low, false},
	"sb.request.envelope_delivered.v1": {apiActivity, apiUpdate, informational, false},
	"sb.request.write_begun.v1":        {apiActivity, apiUpdate, informational, false},
	"sb.request.outcome_unknown.v1":    {apiActivity, apiUpdate, medium, true},
	"sb.request.values_provided.v1":    {apiActivity, apiUpdate, informational, false},
	"sb.request.values_refused.v1":     {apiActivity, apiUpdate, informational, false},
	"sb.request.step_reminded.v1":      {apiActivity, activityOther, informational, false},
	"sb.request.step_escalated.v1":     {apiActivity, activityOther, low, false},
	"sb.request.glass_broken.v1":       {apiActivity, apiUpdate, high, false},
	"sb.request.glass_reviewed.v1":     {apiActivity, apiUpdate, informational, false},
	"sb.request.review_overdue.v1":     {apiActivity, activityOther, medium, true},
	"sb.request.rollout_begun.v1":      {apiActivity, apiUpdate, informational, false},
	"sb.request.rollout_observed.v1":   {apiActivity, apiRead, informational, false},
	"sb.request.rollout_settled.v1":    {apiActivity, apiUpdate, informational, false},
	"sb.request.applied.v1":            {apiActivity, apiUpdate, informational, false},
	"sb.request.rollout_failed.v1":     {apiActivity, apiUpdate, medium, true},
	"sb.request.applied_unverified.v1": {apiActivity, apiUpdate, low, true},

	"sb.agent.enrolment_token_issued.v1":  {entityManagement, entityCreate, low, false},
	"sb.agent.enrolment_token_expired.v1": {entityManagement, activityOther, informational, false},
	"sb.agent.enrolled.v1":                {entityManagement, entityEnrol, low, false},
	"sb.agent.credentials_issued.v1":      {entityManagement, entityUpdate, informational, false},
	"sb.agent.key_rotated.v1":             {entityManagement, entityUpdate, informational, false},
	"sb.agent.connected.v1":               {entityManagement, entityActivate, informational, false},
	"sb.agent.lost.v1":                    {entityManagement, entityDeactivate, medium, true},
	"sb.agent.revoked.v1":                 {entityManagement, entityUnenrol, medium, false},

	"sb.connection.created.v1":             {entityManagement, entityCreate, low, false},
	"sb.connection.disabled.v1":            {entityManagement, entityDisable, low, false},
	"sb.connection.enabled.v1":             {entityManagement, entityEnable, low, false},
	"sb.connection.discovery_scheduled.v1": {entityManagement, entityUpdate, informational, false},

	"sb.job.queued.v1":    {apiActivity, apiCreate, informational, false},
	"sb.job.taken.v1":     {apiActivity, apiUpdate, informational, false},
	"sb.job.finished.v1":  {apiActivity, apiUpdate, informational, false},
	"sb.job.failed.v1":    {apiActivity, apiUpdate, low, true},
	"sb.job.cancelled.v1": {apiActivity, apiUpdate, informational, false},

	"sb.inventory.found.v1":   {apiActivity, apiRead, informational, false},
	"sb.inventory.changed.v1": {apiActivity, apiRead, informational, false},
	"sb.inventory.gone.v1":    {apiActivity, apiRead, informational, false},

	"sb.secret.assigned.v1":    {entityManagement, entityUpdate, informational, false},
	"sb.secret.keys_listed.v1": {apiActivity, apiRead, informational, false},

	"sb.governance.changed.v1":             {entityManagement, entityUpdate, medium, false},
	"sb.governance.amendment_proposed.v1":  {entityManagement, activityOther, low, false},
	"sb.governance.amendment_approved.v1":  {entityManagement, activityOther, low, false},
	"sb.governance.amendment_rejected.v1":  {entityManagement, activityOther, informational, false},
	"sb.governance.amendment_expired.v1":   {entityManagement, activityOther, informational, false},
	"sb.governance.amendment_withdrawn.v1": {entityManagement, activityOther, informational, false},

	"sb.user.added.v1":               {accountChange, accountCreate, low, false},
	"sb.user.disabled.v1":            {accountChange, accountDisable, low, false},
	"sb.user.enabled.v1":             {accountChange, accountEnable, low, false},
	"sb.user.erased.v1":              {accountChange, accountDelete, medium, false},
	"sb.user.grant_given.v1":         {userAccess, privilegeAssigned, medium, false},
	"sb.user.grant_taken.v1":         {userAccess, privilegeRevoked, low, false},
	"sb.user.groups_told.v1":         {accountChange, activityOther, informational, false},
	"sb.user.identity_linked.v1":     {accountChange, activityOther, low, false},
	"sb.user.link_issued.v1":         {accountChange, passwordReset, low, false},
	"sb.user.link_expired.v1":        {accountChange, activityOther, informational, false},
	"sb.user.password_set.v1":        {accountChange, passwordChange, low, false},
	"sb.user.factor_enrolled.v1":     {accountChange, factorEnabled, low, false},
	"sb.user.factor_removed.v1":      {accountChange, factorDisabled, medium, false},
	"sb.user.factor_abandoned.v1":    {accountChange, activityOther, informational, false},
	"sb.user.recovery_codes_made.v1": {accountChange, activityOther, low, false},
	"sb.user.token_issued.v1":        {accountChange, activityOther, medium, false},
	"sb.user.token_revoked.v1":       {accountChange, activityOther, low, false},
	"sb.user.token_expired.v1":       {accountChange, activityOther, informational, false},
	"sb.user.delegation_given.v1":    {accountChange, activityOther, low, false},
	"sb.user.delegation_ended.v1":    {accountChange, activityOther, informational, false},
	"sb.user.delegation_expired.v1":  {accountChange, activityOther, informational, false},
	"sb.user.notices_chosen.v1":      {accountChange, activityOther, informational, false},
	"sb.user.notice_abandoned.v1":    {accountChange, activityOther, low, true},

	"sb.access.signed_in.v1":              {authentication, logon, informational, false},
	"sb.access.sign_in_failed.v1":         {authentication, logon, low, true},
	"sb.access.signed_out.v1":             {authentication, logoff, informational, false},
	"sb.access.session_revoked.v1":        {authentication, logoff, low, false},
	"sb.access.session_expired.v1":        {authentication, logoff, informational, false},
	"sb.access.session_renewed.v1":        {authentication, activityOther, informational, false},
	"sb.access.stepped_up.v1":             {authentication, activityOther, informational, false},
	"sb.access.step_up_failed.v1":         {authentication, activityOther, low, true},
	"sb.access.direct_reveal_withheld.v1": {apiActivity, apiRead, low, false},
	"sb.access.audit_exported.v1":         {apiActivity, apiRead, low, false},
	"sb.access.report_exported.v1":        {apiActivity, apiRead, low, false},
	"sb.access.step_up_begun.v1":          {authentication, activityOther, informational, false},
	"sb.integration.delivery_retried.v1":  {apiActivity, apiUpdate, informational, false},
	"sb.integration.tested.v1":            {apiActivity, activityOther, informational, false},
	"sb.user.factor_begun.v1":             {accountChange, activityOther, informational, false},
	"sb.user.notices_tested.v1":           {accountChange, activityOther, informational, false},
	"sb.access.audit_read.v1":             {apiActivity, apiRead, informational, false},
	"sb.access.audit_compared.v1":         {apiActivity, apiRead, informational, false},
	"sb.access.support_bundle_taken.v1":   {apiActivity, apiRead, low, false},
	"sb.access.evidence_exported.v1":      {apiActivity, apiRead, low, false},
	"sb.access.denied.v1":                 {apiActivity, activityOther, medium, true},

	"sb.integration.created.v1":            {entityManagement, entityCreate, low, false},
	"sb.integration.changed.v1":            {entityManagement, entityUpdate, low, false},
	"sb.integration.secret_set.v1":         {entityManagement, entityUpdate, low, false},
	"sb.integration.disabled.v1":           {entityManagement, entityDisable, low, false},
	"sb.integration.enabled.v1":            {entityManagement, entityEnable, low, false},
	"sb.integration.removed.v1":            {entityManagement, entityDelete, low, false},
	"sb.integration.mapping_added.v1":      {entityManagement, entityUpdate, informational, false},
	"sb.integration.mapping_removed.v1":    {entityManagement, entityUpdate, informational, false},
	"sb.integration.delivery_abandoned.v1": {apiActivity, apiUpdate, medium, true},

	"sb.setting.kms_key_rotated.v1":        {entityManagement, entityUpdate, medium, false},
	"sb.setting.rewrap_started.v1":         {entityManagement, entityUpdate, low, false},
	"sb.setting.rewrap_finished.v1":        {entityManagement, entityUpdate, low, false},
	"sb.setting.ownership_rules_set.v1":    {entityManagement, entityUpdate, low, false},
	"sb.setting.signing_key_rotated.v1":    {entityManagement, entityUpdate, medium, false},
	"sb.setting.checkpoint_key_rotated.v1": {entityManagement, entityUpdate, medium, false},
	"sb.setting.log_restored.v1":           {entityManagement, entityUpdate, high, false},
	"sb.setting.rows_adopted.v1":           {entityManagement, entityUpdate, medium, false},
	"sb.setting.legal_hold_placed.v1":      {entityManagement, entityCreate, medium, false},
	"sb.setting.legal_hold_lifted.v1":      {entityManagement, entityDelete, high, false},
}
