package agent

import (
	"fmt"
	"iter"
)

// Pages is a list from a cursor on, for providers whose pages follow from the cursor alone:
// page returns the one that begins there. An error says what was being done, such as "list
// secrets", and ends the list.
func Pages(doing string, from Cursor, page func(from Cursor) (Page, error)) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		for {
			got, err := page(from)
			if err != nil {
				yield(Page{}, fmt.Errorf("%s: %w", doing, err))
				return
			}
			if !yield(got, nil) || got.Next == "" {
				return
			}
			from = got.Next
		}
	}
}
