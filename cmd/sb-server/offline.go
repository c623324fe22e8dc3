package main

import (
	"context"
	"fmt"
	"os"
)

// offline opens what a server stands on, for one command. A server that has a data directory must
// not run meanwhile; with the operator's NATS and Postgres this is one server more.
func offline(ctx context.Context, do func(*stack) error) error {
	s, err := loadSettings()
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.path("nats")); err != nil && !s.external() {
		return fmt.Errorf("%s is no data directory of sb-server: set SB_DATA_DIR", s.DataDir)
	}
	if s.local() {
		dir, err := openDataDir(s)
		if err != nil {
			return err
		}
		defer dir.close()
	}
	return offlineIn(ctx, s, do)
}

// offlineIn is offline in a data directory that the caller holds.
func offlineIn(ctx context.Context, s settings, do func(*stack) error) error {
	// Without a port for agents: nobody is to link meanwhile.
	st, err := openStack(ctx, s, s.logger(), ground{})
	if err != nil {
		return err
	}
	defer st.close()
	return do(st)
}
