package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A page holds defaultLimit rows unless told, and never more than MaxLimit.
const (
	defaultLimit = 50
	MaxLimit     = 200
)

// Page is a part of a list. Next, if not empty, asks for what follows.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor,omitempty"`
}

func limited(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return min(limit, MaxLimit)
}

// query is a SELECT that grows by conditions. Only the conditions that apply are in
// the text, so that the server plans with the right index.
type query struct {
	where []string
	args  []any
}

// and adds a condition; each "?" in it stands for the next argument.
func (q *query) and(condition string, args ...any) {
	for _, arg := range args {
		q.args = append(q.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.where = append(q.where, condition)
}

func (q *query) text(from, tail string, limit int) string {
	if len(q.where) > 0 {
		from += "\nWHERE " + strings.Join(q.where, "\nAND ")
	}
	return from + "\n" + tail + "\nLIMIT " + strconv.Itoa(limit)
}

// fetch runs the query for rows of T.
func fetch[T any](ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) ([]T, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// fetchOne returns the row or ErrNotFound.
func fetchOne[T any](ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (T, error) {
	var none T
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return none, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return none, ErrNotFound
	}
	return row, err
}

// paged cuts the row too many, which says that there is a next page.
func paged[T any](rows []T, limit int, cursor func(T) string) Page[T] {
	if len(rows) <= limit {
		return Page[T]{Items: append([]T{}, rows...)}
	}
	rows = rows[:limit]
	return Page[T]{Items: rows, Next: cursor(rows[limit-1])}
}

// cursor writes numbers as an opaque text.
func cursor(numbers ...uint64) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.FormatUint(n, 10)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(words, ".")))
}

// parseCursor reads what cursor wrote, or ErrCursor.
func parseCursor(s string, count int) ([]int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrCursor
	}
	words := strings.Split(string(b), ".")
	if len(words) != count {
		return nil, ErrCursor
	}
	numbers := make([]int64, count)
	for i, word := range words {
		if numbers[i], err = strconv.ParseInt(word, 10, 64); err != nil || numbers[i] < 0 {
			return nil, ErrCursor
		}
	}
	return numbers, nil
}

// before adds the condition of a cursor over one sequence, newest first.
func (q *query) before(s string) error {
	if s == "" {
		return nil
	}
	at, err := parseCursor(s, 1)
	if err != nil {
		return fmt.Errorf("read cursor: %w", err)
	}
	q.and("seq < ?", at[0])
	return nil
}
