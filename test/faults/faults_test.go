package faults_test

// madeTwice is what judge says of repetitions that were taken for new requests.
const madeTwice = "requests were made of one submit that was repeated"

// programme is everything that is tried, in the order of the items of docs/operations/faults.md.
var programme = []fault{
	{item: 1, name: "kill-log", smoke: 20, full: 1000, try: killsOfLog, without: "a commit counts when it is sent", breaks: "acknowledged commits are lost", controls: 40},
	{item: 1, name: "kill-system", full: 60, try: killsOfSystem, without: "repetitions without a key", breaks: madeTwice, controls: 3},
	{item: 1, name: "kill-system-short", smoke: 1, full: 1, try: cited("test/e2e TestKillsLoseNothingAcknowledged", "test/e2e TestAScanSurvivesKills")},

	{item: 2, name: "power-cut-log", root: true, smoke: 4, full: 200, try: powerOfLog, without: "a server as NATS comes", breaks: "acknowledged commits are lost", controls: 10},
	{item: 2, name: "power-cut-postgres", root: true, smoke: 2, full: 100, try: powerOfPostgres, without: "synchronous_commit off", breaks: "acknowledged rows are lost", controls: 20},

	{item: 3, name: "fsync-proof", smoke: 50, full: 500, try: syncsOfLog, without: "a server as NATS comes", breaks: "syncs for", controls: 50},
	{item: 3, name: "unsynced-server-refused", smoke: 1, full: 1, try: cited(
		"nats TestServerThatAcknowledgesBeforeItStoresIsRefused", "nats TestWatchReportsDrift",
	)},

	{item: 4, name: "damage-one-replica", smoke: 8, full: 200, try: damagedLog, without: "what NATS delivers is taken for the log", breaks: "in silence"},

	{item: 4, name: "damage-three-replicas", full: 10, try: damagedReplica, without: "one replica", breaks: "commits are read of", controls: 6},

	{item: 5, name: "disk-full-log", root: true, full: 5, try: fullLog, without: "a request counts when it is sent", breaks: "that was acknowledged is there"},
	{item: 5, name: "disk-full-log-alarm", smoke: 1, full: 1, try: cited("nats TestAFullDiskEndsTheServerAndLosesNothing")},

	{item: 6, name: "disk-full-postgres", root: true, full: 3, try: fullPostgres, without: "a row is deleted behind the server", breaks: "rows differ"},

	{item: 7, name: "audit-path-blocked", full: 3, try: blockedAudit, without: "NATS answers", breaks: "a value was revealed"},
	{item: 7, name: "appends-without-an-answer", smoke: 1, full: 1, try: cited(
		"nats TestAppendWithoutAnAnswerIsUnknown", "custody TestAFaultBeforeTheUseBurnsNothing",
	)},

	{item: 8, name: "server-stopped-and-woken", smoke: 1, full: 1, try: cited(
		"cmd/sb-server TestServersThatAreStoppedAndWokenDoNothingTwice", "nats TestTheHolderStopsBeforeTheServerFrees", "custody TestTheFenceHoldsEveryStep",
	)},

	{item: 9, name: "silent-parts", full: 6, try: silentParts, without: "repetitions without a key", breaks: madeTwice, controls: 6},
	{item: 9, name: "partitions", root: true, full: 22, try: partitions, without: "repetitions without a key", breaks: madeTwice, controls: 4},
	{item: 9, name: "links-that-break", smoke: 1, full: 1, try: cited(
		"nats TestThreeReplicasSurviveTheirLeader", "nats TestFollowGoesOnAfterAnOutage", "nats TestLinkComesBackAfterARestart",
		"nats TestALeaseEndsWhileNATSIsAway", "ledger TestAnOutageOfPostgresIsWaitedOut",
	)},

	{item: 10, name: "bad-links", full: 15, try: badLinks, without: "repetitions without a key", breaks: madeTwice, controls: 15},

	{item: 11, name: "reveal-race", full: 20, try: revealRace, without: "clients act on what they read", breaks: "would have been shown one value"},

	{item: 12, name: "crash-at-each-sync", full: 14, try: crashes, without: "repetitions without a key", breaks: madeTwice, controls: 4},
	{item: 12, name: "crash-in-rotations", smoke: 1, full: 1, try: cited(
		"cmd/sb-server TestARotationOfTheSigningKeySurvivesACrashAtEachStep", "cmd/sb-server TestARotationOfTheKeyOfCheckpointsSurvivesACrashAtEachStep",
		"cmd/sb-server TestAStoppedRewrapGoesOnWhereItWas", "nats TestRevokeCutsTheLinkAtOnce", "test/e2e TestKillsLoseNoPatch",
	)},

	{item: 13, name: "lost-answers", full: 300, try: lostAnswers, without: "repetitions without a key", breaks: madeTwice, controls: 20},
	{item: 13, name: "lost-acks", smoke: 1, full: 1, try: cited(
		"command TestExecuteAndTheFaultsOfTheLog", "command TestCommandsTogetherAndTheFaultsOfTheLog", "nats TestMarkRepeatsTheAnswer",
	)},

	{item: 14, name: "key-manager", smoke: 1, full: 1, try: cited(
		"kms/transit TestFaults", "kms/transit TestASealedVaultIsUnavailable", "kms/transit TestAnOlderKeyStillOpens", "kms/awskms TestFaults",
		"custody TestASlowKMSHoldsUpNobodyElse", "custody TestFaultsBeforeADeliveryUseNothingUp", "test/e2e TestAnOutageOfTheKeyManagerBurnsNothing",
	)},

	{item: 15, name: "clock-jumps", full: 16, try: clockJumps, without: "facts are in the order of their times", breaks: "older than one before them", controls: 2},

	{item: 16, name: "tampering", smoke: 1, full: 1, try: cited(
		"nats TestAnAdminOfNATSIsCaughtWhileTheServerRuns", "nats TestAForgedFactIsNeverFolded", "nats TestGuardFindsARollBack", "nats TestGuardFindsDamage",
		"projections TestEveryRowThatADatabaseOwnerTampersWithIsNamed", "projections TestRowsThatChangedPlacesAreNamed", "projections TestOneRowAmongManyIsNamed",
	)},

	{item: 17, name: "split-view", smoke: 1, full: 1, try: cited(
		"ledger TestTheOtherLogThatAnAgentSawIsProof", "ledger TestAQuorumThatSawAnotherHistoryStopsTheServer", "ledger TestAWitnessThatLiesStopsNothing", "ledger TestASignedCheckpointThatContradictsIsAnAlarm",
	)},

	{item: 18, name: "values-at-rest", smoke: 1, full: 1, try: cited("test/e2e TestNoValueRestsInClear", "internal/harden TestNoCore")},

	{item: 20, name: "soak", full: 10, try: soak, without: "the first third is measured before the load", breaks: "memory went from", controls: 1},
	{item: 20, name: "floods", smoke: 1, full: 1, try: cited(
		"nats TestAFloodIsBounded", "store TestTenThousandWrongGuessesFromElsewhereNeverKeepABreakGlassOwnerOut", "web TestCallsOfOneAddressHaveAnEnd",
		"web TestDenialsHaveAnEnd",
	)},
}
