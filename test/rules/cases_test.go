package rules_test

// cases are what each alert is for. Series have a sample a minute: "1x9" is 1 ten times, "0+2x9"
// begins at 0 and grows by 2 nine times, "_" is no sample.
var cases = []struct {
	alert                 string
	series                string
	silent, fires, clears int // minutes
	labels                string
	also                  []string // labels of others that fire beside it
}{
	{"SecretsBridgeServerDown", `
		up{job="secrets-bridge",instance="a"} 1x4 0x9 1x20
		up{job="secrets-bridge",instance="b"} 1x60
		up{job="other",instance="c"} 0x60`, 6, 8, 17, `{instance="a", job="secrets-bridge"}`, nil},
	{"SecretsBridgeLogAlarm", `
		sb_log_alarm{name="log_forked",instance="a"} 0x4 1 _x60
		sb_log_alarm{name="log_truncated",instance="a"} 0x4 0 _x60`, 4, 6, 30, `{instance="a", name="log_forked"}`, nil},
	{"SecretsBridgePartAway", `
		sb_part_up{part="log",instance="a"} 1x4 0x5 1x20
		sb_part_up{part="database",instance="a"} 1x40`, 5, 7, 13, `{instance="a", part="log"}`, nil},
	{"SecretsBridgeViewsBehind", `
		sb_views_lag_commits{instance="a"} 0x4 5000x9 0x20
		sb_views_lag_commits{instance="b"} 0x4 4000x9 0x20`, 6, 8, 18, `{}`, nil},
	{"SecretsBridgeLoopHeldByNobody", `
		sb_loop_held{loop="ends",instance="a"} 1x4 0x9 0x20
		sb_loop_held{loop="ends",instance="b"} 0x4 0x9 1x20
		sb_loop_held{loop="dispatch",instance="b"} 1x60`, 6, 8, 18, `{loop="ends"}`, nil},
	{"SecretsBridgeLoopHeldTwice", `
		sb_loop_held{loop="ends",instance="a"} 1x60
		sb_loop_held{loop="ends",instance="b"} 0x4 1x9 0x20`, 6, 8, 18, `{loop="ends"}`, nil},
	{"SecretsBridgeLoopStands", `
		sb_loop_last_run_timestamp_seconds{loop="ends",instance="a"} 60+60x9 600x15 2000+60x20
		sb_loop_position{loop="ends",instance="a"} 0x60
		sb_loop_held{loop="ends",instance="a"} 1x60
		sb_loop_last_run_timestamp_seconds{loop="dispatch",instance="a"} 60x60
		sb_loop_position{loop="dispatch",instance="a"} 7x60
		sb_loop_held{loop="dispatch",instance="a"} 1x60`, 15, 20, 30, `{loop="ends"}`, nil},
	{"SecretsBridgeLoopBehind", `
		sb_loop_lag_seconds{loop="prompts",instance="a"} 0x4 90x9 0x20
		sb_loop_lag_seconds{loop="ends",instance="a"} 50x60`, 9, 11, 18, `{loop="prompts"}`, nil},
	{"SecretsBridgeLoopFails", `
		sb_loop_failed_total{loop="ends",instance="a"} 0x4 0+10x29 300x40
		sb_loop_failed_total{loop="prompts",instance="a"} 0+1x70`, 10, 25, 55, `{loop="ends"}`, nil},
	{"SecretsBridgeDeadLetters", `
		sb_loop_dead_letters_total{loop="dead-letters",instance="a"} 0x4 1x120
		sb_loop_dead_letters_total{loop="notices-send",instance="a"} 0x4 1x120`, 4, 10, 70, `{loop="dead-letters"}`, nil},
	{"SecretsBridgeOutboxStands", `
		sb_outbox_late_seconds{instance="a"} 0x4 400x9 0x20`, 9, 11, 18, `{}`, nil},
	{"SecretsBridgeNoticesGivenUp", `
		sb_loop_dead_letters_total{loop="notices-send",instance="a"} 0x4 1x120
		sb_loop_dead_letters_total{loop="dead-letters",instance="a"} 0x4 1x120`, 4, 10, 70, `{}`, nil},
	{"SecretsBridgeRolloutsUnseen", `
		sb_watches_open{instance="a"} 3x60
		sb_loop_failed_total{loop="rollout-looks",instance="a"} 0x4 0+5x24 120x40
		sb_loop_handled_total{loop="rollout-looks",instance="a"} 0+2x4 10x24 10+5x40`, 10, 25, 50, `{}`, nil},
	{"SecretsBridgeViewsDiffer", `
		sb_compared_differences{look="tail",instance="a"} 0x4 2x4 0x20
		sb_compared_differences{look="all",instance="a"} 0x60`, 4, 6, 11, `{look="tail"}`, nil},
	{"SecretsBridgeNoAgentOnline", `
		sb_agents{state="online",instance="a"} 2x4 0x9 1x20
		sb_agents{state="offline",instance="a"} 0x4 2x9 1x20`, 9, 11, 18, `{}`, nil},
	{"SecretsBridgeAgentSilent", `
		sb_agents{state="offline",instance="a"} 0x4 1x24 0x20`, 19, 21, 32, `{}`, nil},
	{"SecretsBridgeAgentDistrusts", `
		sb_distrusting_agents{instance="a"} 0x4 1x9 0x20`, 4, 6, 18, `{}`, nil},
	{"SecretsBridgeFewFilesLeft", `
		process_open_fds{job="secrets-bridge",instance="a"} 100x4 900x19 100x20
		process_max_fds{job="secrets-bridge",instance="a"} 1000x60`, 14, 16, 28, `{instance="a", job="secrets-bridge"}`, nil},
	{"SecretsBridgeCheckpointsStand", `
		sb_tree_size{instance="a"} 100x4 110x20 110x20
		sb_checkpoint_size{instance="a"} 100x4 100x9 110x40
		sb_checkpoint_timestamp_seconds{instance="a"} 0+60x4 240x9 900+60x40`, 5, 8, 18, `{}`, nil},
	{"SecretsBridgeWitnessSilent", `
		sb_witness_failing{witness="w",instance="a"} 0x4 1x24 0x20`, 19, 21, 32, `{witness="w"}`, nil},
	{"SecretsBridgeWitnessContradicts", `
		sb_witness_contradicts{witness="w",instance="a"} 0x4 1x24 0x20`, 4, 6, 32, `{witness="w"}`, nil},
	{"SecretsBridgeRowsRefused", `
		sb_refused_rows_total{table="sessions",why="row_forged",instance="a"} _x4 1x60`, 3, 6, 25, `{table="sessions", why="row_forged"}`, nil},
	{"SecretsBridgeRowsRefused", `
		sb_refused_rows_total{table="links",why="row_missing",instance="a"} 3x30 4x60`, 28, 32, 50, `{table="links", why="row_missing"}`, nil},
	{"SecretsBridgeScrubStands", `
		sb_scrub_commits{instance="a"} 1000x120
		sb_scrub_done_commits{instance="a"} 0+10x4 50x59 60+10x60`, 30, 50, 66, `{instance="a"}`, nil},

	{"SecretsBridgeCallsFail", `
		sb_http_requests_total{route="/r",method="GET",status="2xx",instance="a"} 0+90x90
		sb_http_requests_total{route="/r",method="GET",status="5xx",instance="a"} 0x4 0+10x29 300x60`, 12, 20, 45, `{}`, nil},
	{"SecretsBridgeCallsSlow", `
		sb_http_request_duration_seconds_bucket{route="/r",method="GET",le="1",instance="a"} 0+100x4 400x29 400+100x60
		sb_http_request_duration_seconds_bucket{route="/r",method="GET",le="2.5",instance="a"} 0+100x4 500+100x29 3400+100x60
		sb_http_request_duration_seconds_bucket{route="/r",method="GET",le="+Inf",instance="a"} 0+100x4 500+100x29 3400+100x60`, 12, 20, 55, `{}`, nil},
	{"SecretsBridgeCommandsFail", `
		sb_commands_total{by="loop.ends",outcome="decided",code="",instance="a"} 0+10x90
		sb_commands_total{by="loop.ends",outcome="refused",code="job_over",instance="a"} 0+10x90
		sb_commands_total{by="loop.ends",outcome="failed",code="log_away",instance="a"} 0x4 0+5x29 145x60`, 8, 15, 45, `{}`, nil},
	{"SecretsBridgeAppendsSlow", `
		sb_append_duration_seconds_bucket{le="0.25",instance="a"} 0+100x4 400x29 400+100x60
		sb_append_duration_seconds_bucket{le="0.5",instance="a"} 0+100x4 500+100x29 3400+100x60
		sb_append_duration_seconds_bucket{le="+Inf",instance="a"} 0+100x4 500+100x29 3400+100x60`, 12, 20, 55, `{}`, nil},
	{"SecretsBridgeJobsFail", `
		sb_jobs_total{operation="read",outcome="failed",code="agent_lost",instance="a"} 0x4 0+1x19 19x60
		sb_jobs_total{operation="read",outcome="failed",code="secret_not_found",instance="a"} 0+9x90`, 8, 20, 60, `{code="agent_lost"}`, nil},
	{"SecretsBridgeJobsWait", `
		sb_job_wait_seconds_bucket{operation="read",le="60",instance="a"} 0+10x4 50x19 50+10x60
		sb_job_wait_seconds_bucket{operation="read",le="300",instance="a"} 0+10x4 50+10x19 250+10x60
		sb_job_wait_seconds_bucket{operation="read",le="+Inf",instance="a"} 0+10x4 50+10x19 250+10x60
		sb_job_wait_seconds_bucket{operation="discover",le="60",instance="a"} 0x90
		sb_job_wait_seconds_bucket{operation="discover",le="+Inf",instance="a"} 0+10x90`, 5, 20, 60, `{}`, nil},
	{"SecretsBridgeClusterWithoutAgent", `
		sb_cluster_agents{cluster="north",state="online",instance="a"} 1x4 0x9 1x20
		sb_cluster_agents{cluster="north",state="offline",instance="a"} 0x4 1x9 0x20
		sb_cluster_agents{cluster="south",state="online",instance="a"} 1x60
		sb_cluster_agents{cluster="south",state="offline",instance="a"} 1x60`, 9, 11, 18, `{cluster="north"}`, nil},
	{"SecretsBridgeKeyManagerFails", `
		sb_kms_calls_total{operation="unwrap",outcome="unavailable",instance="a"} 0x4 0+1x14 14x60
		sb_kms_calls_total{operation="unwrap",outcome="wrong_context",instance="a"} 0+1x90
		sb_kms_calls_total{operation="unwrap",outcome="ok",instance="a"} 0+1x90`, 8, 15, 30, `{outcome="unavailable"}`, nil},
	{"SecretsBridgeProviderFails", `
		sb_provider_calls_total{provider="vault",operation="read",outcome="ok",instance="a"} 0+5x4 20x29 20+5x60
		sb_provider_calls_total{provider="vault",operation="read",outcome="unavailable",instance="a"} 0x4 0+5x29 145x60
		sb_provider_calls_total{provider="file",operation="read",outcome="ok",instance="a"} 0+5x90
		sb_provider_calls_total{provider="file",operation="read",outcome="refused",instance="a"} 0+5x90`, 12, 25, 55, `{provider="vault"}`, nil},
	{"SecretsBridgeSignInsFail", `
		sb_sign_ins_total{outcome="ok",instance="a"} 0+100x90
		sb_sign_ins_total{outcome="wrong_password",instance="a"} 0x4 0+20x19 380x60`, 6, 15, 40, `{}`, nil},
	{"SecretsBridgeReportsRefused", `
		sb_agent_reports_refused_total{instance="a"} 0x4 1x120`, 4, 10, 70, `{}`, nil},
	{"SecretsBridgeRightsBehind", `
		sb_follower_lag_seconds{follower="rights",instance="a"} 0x4 60x9 0x20
		sb_follower_lag_seconds{follower="views",instance="a"} 90x60`, 5, 7, 18, `{instance="a"}`, nil},
}
