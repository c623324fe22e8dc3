package ledgertest_test

import (
	"testing"

	"secretsbridge/ledger/ledgertest"
)

func TestCheckpointsInMemory(t *testing.T) { ledgertest.Run(t, &ledgertest.Checkpoints{}) }

func TestObjectsInMemory(t *testing.T) { ledgertest.RunObjects(t, &ledgertest.Objects{}) }
