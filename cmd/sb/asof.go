package main

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// asOfFlag asks for something as it was.
func asOfFlag(c *cobra.Command, text *string) {
	c.Flags().StringVar(text, "as-of", "", "as it was: the sequence of the last commit that counts, a time (RFC 3339), or how long ago, such as 24h")
}

// asOf is the query for that; none: as it is.
func asOf(text string) (url.Values, error) {
	if text == "" {
		return nil, nil
	}
	w, err := readMoment(text, time.Now())
	if err != nil {
		return nil, err
	}
	if w.seq > 0 {
		return url.Values{"as_of": {strconv.FormatUint(uint64(w.seq), 10)}}, nil
	}
	return url.Values{"as_of": {w.time.UTC().Format(time.RFC3339Nano)}}, nil
}

// asOfText is how far something counts that is shown as it was; empty: it is as it is.
func asOfText(seq uint64) string {
	if seq == 0 {
		return ""
	}
	return "commit " + strconv.FormatUint(seq, 10)
}
