package main

import (
	"context"
	"fmt"
	"os"
)

// offline opens the data directory of a server that does not run, for one command. first,
// if there is one, comes before anything in it is opened.
func offline(ctx context.Context, first func(settings) error, do func(*stack) error) error {
	s, err := loadSettings()
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.path("nats")); err != nil {
		return fmt.Errorf("%s is no data directory of sb-server: set SB_DATA_DIR", s.DataDir)
	}
	dir, err := openDataDir(s)
	if err != nil {
		return err
	}
	defer dir.close()
	if first != nil {
		if err := first(s); err != nil {
			return err
		}
	}
	return offlineIn(ctx, s, do)
}

// offlineIn is offline in a data directory that the caller holds.
func offlineIn(ctx context.Context, s settings, do func(*stack) error) error {
	ca, err := openCA(s.DataDir)
	if err != nil {
		return err
	}
	s.LeafAddr = "127.0.0.1:0" // nobody is to link meanwhile
	st, err := openStack(ctx, s, s.logger(), ca, false)
	if err != nil {
		return err
	}
	defer st.close()
	return do(st)
}
