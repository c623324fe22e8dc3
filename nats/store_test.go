package nats

import (
	"testing"

	"secretsbridge/command/commandtest"
)

func TestStoreIsALog(t *testing.T) {
	for name, replicas := range map[string]int{"one replica": 1, "three replicas": 3} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, replicas)
			store := openStore(t, r.nc)
			commandtest.RunLog(t, func(*testing.T) commandtest.LogAndFeed { return store })
		})
	}
}
