package nats

import (
	"fmt"
	"os"
	"testing"
)

// These variables make the test binary another process that a test needs.
const (
	crashDir  = "SB_TEST_CRASH_DIR"  // a hub that appends until it is killed
	fullDir   = "SB_TEST_FULL_DIR"   // a hub that appends until no file may grow
	leafAgent = "SB_TEST_LEAF_AGENT" // an agent that links and waits for the end of its input
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(crashDir) != "":
		err = appendForEver(os.Getenv(crashDir))
	case os.Getenv(fullDir) != "":
		err = runFull(os.Getenv(fullDir))
	case os.Getenv(leafAgent) != "":
		err = linkUntilTold([]byte(os.Getenv(leafAgent)))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
